/** Pictures of every page in both themes and at two widths, to be looked at: `npm run shots`. */

import { mkdirSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, open, settled, signIn } from "./browser";
import { PAGES } from "./pages";

const only = process.env.ONLY?.split(",");
const looks = (process.env.LOOKS ?? "1280-light,1280-dark,390-light,390-dark").split(",");
mkdirSync("shots", { recursive: true });

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** Wider than the window is what nobody wants on a phone. */
async function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

for (const look of looks) {
  test(`shots ${look}`, async () => {
    const [width, theme] = look.split("-");
    const { page, context, errors } = await open(browser, { width: Number(width), theme: theme as "light" });
    const wide: string[] = [];
    const shot = async (name: string) => {
      await settled(page);
      if ((await overflow(page)) > 0) wide.push(name);
      await page.screenshot({ path: `shots/${name}-${look}.png`, fullPage: true });
    };
    await page.goto("/sign-in");
    await shot("sign-in");
    await signIn(page);
    for (const [name, path] of PAGES) {
      if (only && !only.includes(name)) continue;
      await page.goto(path);
      await settled(page);
      if (name === "logs") await page.getByRole("row").nth(3).click();
      await shot(name);
      if (name === "requests-failed") {
        await page.getByRole("table").getByRole("link").first().click();
        await page.getByText("Waterfall").first().waitFor();
        await shot("request");
      }
      if (name === "versions") {
        await page.getByRole("button", { name: "Publish", exact: true }).click();
        await shot("dialog");
        await page.keyboard.press("Escape");
      }
      if (name === "try") {
        await page.getByRole("button", { name: "Call", exact: true }).click();
        await page.getByText("Waterfall and logs").waitFor();
        await shot("try-answer");
      }
      if (name === "runtimes" && Number(width) < 800) {
        await page.getByRole("button", { name: "Open the menu" }).click();
        await shot("menu");
        await page.keyboard.press("Escape");
      }
    }
    await context.close();
    expect.soft(wide).toEqual([]);
    expect(errors).toEqual([]);
  });
}
