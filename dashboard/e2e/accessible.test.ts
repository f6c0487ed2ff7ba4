/** axe finds nothing serious on any page, in both themes, on a desktop and on a phone. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closed, launch, open, serious, settled, signIn } from "./browser";
import { PAGES } from "./pages";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

test.each([1280, 390])("every page, %s pixels wide", { timeout: 240_000 }, async (width) => {
  const { page, context, errors } = await open(browser, { width });
  const found: string[] = [];
  const look = async (name: string) => {
    for (const theme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: theme });
      await settled(page);
      const what = await serious(page, theme === "light" ? "all" : "colours");
      found.push(...what.map((one) => `${name}, ${theme}: ${one}`));
    }
    await page.emulateMedia({ colorScheme: "light" });
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
