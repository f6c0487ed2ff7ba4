/** A real Chromium, and what tests do with it again and again. */

import axe, { type AxeResults } from "axe-core";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { expect, inject } from "vitest";

export const LOGIN = process.env.KRT_LOGIN ?? "ada";
export const PASSWORD = process.env.KRT_PASSWORD ?? "correct horse battery";

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      // Tests run as root, and where /dev/shm is small.
      "--no-sandbox",
      "--disable-dev-shm-usage",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface Look {
  width?: number;
  height?: number;
  theme?: "light" | "dark";
  /** Of another server than that of all tests. */
  url?: string;
}

/** A page that fails the test when something breaks in it. */
export async function open(browser: Browser, look: Look = {}) {
  const { width = 1280, height = 860, theme = "light", url = inject("url") } = look;
  const context = await browser.newContext({
    baseURL: url,
    viewport: { width, height },
    colorScheme: theme,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    // What the server refuses is logged by the browser itself.
    if (message.type() === "error" && !message.text().includes("Failed to load resource"))
      errors.push(message.text());
  });
  return { context, page, errors };
}

export async function signIn(page: Page, login = LOGIN, password = PASSWORD) {
  // After a sign-out the page goes there by itself, which would interrupt another navigation.
  if (new URL(page.url()).pathname === "/sign-in") await page.waitForLoadState("networkidle");
  else await page.goto("/sign-in");
  await page.getByLabel("Name").fill(login);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname !== "/sign-in");
}

/** Drops a file, as from a folder of the desktop. */
export async function drop(page: Page, path: string) {
  const zone = page.locator(".dropzone");
  await zone.waitFor();
  const box = await zone.boundingBox();
  if (!box) throw new Error("there is nowhere to drop");
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  const [x, y] = [box.x + 40, box.y + box.height / 2];
  for (const type of ["dragEnter", "dragOver", "drop"] as const)
    await session.send("Input.dispatchDragEvent", { type, x, y, data });
  await session.detach();
}

/** Waits until nothing moves any more: fonts, data, charts. */
export async function settled(page: Page) {
  await page.waitForFunction(() => document.fonts.status === "loaded" && !document.querySelector(".waiting"));
  await page.waitForTimeout(350);
}

/** What axe finds that is serious; in colours alone, where the rest was looked at in another theme. */
export async function serious(page: Page, what: "all" | "colours" = "all"): Promise<string[]> {
  await page.evaluate(axe.source);
  const options = {
    resultTypes: ["violations"],
    ...(what === "colours" ? { runOnly: ["color-contrast"] } : {}),
  };
  // By text: within the page the library is a global. What was read aloud stays in the announcer for seconds,
  // when what it named may be gone.
  const { violations } = await page.evaluate<AxeResults>(
    `axe.run({ exclude: ['[data-live-announcer]'] }, ${JSON.stringify(options)})`,
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical" || impact === "moderate")
    .flatMap(({ id, impact, nodes }) =>
      nodes.map(
        (node) => `${impact} ${id}: ${node.target.join(" ")} ${node.failureSummary?.split("\n")[1] ?? ""}`,
      ),
    );
}

export async function expectAccessible(page: Page) {
  expect(await serious(page)).toEqual([]);
}

export async function closed(context: BrowserContext, errors: string[]) {
  await context.close();
  expect(errors).toEqual([]);
}
