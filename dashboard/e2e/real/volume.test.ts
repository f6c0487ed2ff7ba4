/**
 * Every page over a large store, as people see it; how long each took is printed.
 *
 * `KRT_VOLUME_FOLDER` is the folder that `crates/e2e/tests/it/volume.rs` has filled; without it nothing is looked at.
 */

import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { closed, launch, open, signIn } from "../browser";
import { started } from "./process";
import { PASSWORD } from "./server";

const FOLDER = process.env["KRT_VOLUME_FOLDER"];
/** How often each page is opened; the median counts. */
const TIMES = 3;

const at = (path: string) => `/runtimes/shop${path}`;
const row = (page: Page, n: number) => page.getByRole("row").nth(n);
const chart = (page: Page) => page.getByRole("img").first();

/** Pages, and the element that marks each as usable. */
const PAGES: [string, string, (page: Page) => { waitFor(): Promise<void> }][] = [
  ["versions", at("/versions"), (page) => page.getByRole("row", { name: /v1 Published/ })],
  ["graph", at("/versions/v1"), (page) => page.getByRole("row", { name: /^namer/ })],
  ["try it", at("/versions/v1/try"), (page) => page.getByLabel("The message as JSON")],
  ["logs", at("/logs"), (page) => page.locator(".log-row").nth(20)],
  ["logs, a frequent text", at("/logs?text=batch&live=off"), (page) => page.locator(".log-row").nth(20)],
  [
    "logs, a rare text",
    at("/logs?text=item%20777%20of&live=off"),
    (page) => page.locator(".log-row").first(),
  ],
  ["logs, errors", at("/logs?level=ERROR&live=off"), (page) => page.locator(".log-row").nth(5)],
  ["requests", at("/requests"), (page) => row(page, 20)],
  ["requests, slowest", at("/requests?order=slowest"), (page) => row(page, 20)],
  ["requests, failed", at("/requests?ending=failed"), (page) => row(page, 5)],
  ["measurements", at("/measurements?range=24h"), chart],
  ["explore", at("/measurements/explore?range=24h&measurement=node_elapsed_time&show=p95&by=node"), chart],
  [
    "predictions",
    at("/predictions?range=24h"),
    (page) => page.getByRole("button", { name: /predicted as/ }).first(),
  ],
];

test.skipIf(!FOLDER)("every page over a large store", { timeout: 600_000 }, async () => {
  const krt = process.env["KRT"] ?? "";
  const server = await started(krt, ["serve", "--data", FOLDER ?? ""]);
  const browser = await launch();
  const { page, context, errors } = await open(browser, { url: server.dashboard });
  await signIn(page, "admin", PASSWORD);
  await page.goto(at("/versions"));
  await page.getByRole("row", { name: /v1 Published/ }).waitFor({ timeout: 60_000 });
  const lines: string[] = [];
  const measure = async (name: string, path: string, there: (typeof PAGES)[0][2]) => {
    const times: number[] = [];
    for (let i = 0; i < TIMES; i += 1) {
      await page.goto("about:blank");
      const began = performance.now();
      await page.goto(`${server.dashboard}${path}`);
      await there(page).waitFor();
      await page.waitForFunction(() => !document.querySelector(".waiting"));
      times.push(performance.now() - began);
    }
    times.sort((one, other) => one - other);
    lines.push(`${times[Math.floor(TIMES / 2)]?.toFixed(0).padStart(6)} ms  ${name}`);
  };
  for (const [name, path, there] of PAGES) await measure(name, path, there);

  // The details of one that failed, from the list.
  await page.goto(`${server.dashboard}${at("/requests?ending=failed")}`);
  const href = await page.getByRole("table").getByRole("link").first().getAttribute("href");
  await measure("a request", href ?? "", (page) => page.getByRole("region", { name: "Traceback" }));
  process.stdout.write(`${lines.join("\n")}\n`);
  expect(await page.getByRole("alert").count()).toBe(0);
  await closed(context, errors);
  await browser.close();
  await server.stop();
});
