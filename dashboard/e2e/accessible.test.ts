/** axe finds nothing serious on any page, in both themes, on a desk and on a phone. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { closed, launch, open, serious, settled, signIn } from "./browser";
import { PAGES } from "./pages";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe.each([
  [1280, "light"],
  [1280, "dark"],
  [390, "light"],
  [390, "dark"],
] as const)("%s pixels, %s", (width, theme) => {
  test("every page", { timeout: 240_000 }, async () => {
    const { page, context, errors } = await open(browser, { width, theme });
    const found: string[] = [];
    const look = async (name: string) => {
      await settled(page);
      found.push(
        ...(await serious(page, theme === "light" ? "all" : "colours")).map((what) => `${name}: ${what}`),
      );
    };
    await page.goto("/sign-in");
    await look("sign-in");
    await signIn(page);
    for (const [name, path] of PAGES) {
      await page.goto(path);
      await look(name);
    }
    await page.goto("/runtimes/digits/requests?ending=failed");
    await page.getByRole("table").getByRole("link").first().click();
    await page.getByRole("heading", { name: "Waterfall" }).waitFor();
    await look("request");
    await page.goto("/runtimes/digits/versions");
    await page.getByRole("button", { name: "Roll back" }).click();
    await look("dialog");
    expect([...new Set(found)]).toEqual([]);
    await closed(context, errors);
  });
});
