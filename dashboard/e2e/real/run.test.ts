/** The dashboard of `krt run`: without signing in, to look and to call. */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { closed, expectAccessible, launch, open, settled } from "../browser";
import { type Started, started } from "./process";

const DIGITS = resolve(import.meta.dirname, "../../../examples/digits");

let browser: Browser;
let krt: Started;
beforeAll(async () => {
  krt = await started(inject("krt"), ["run", DIGITS, "--data", join(inject("folder"), "run")]);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await krt?.stop();
});

test("a package can be viewed and called, but not changed", async () => {
  const { page, context, errors } = await open(browser);
  await page.goto(krt.dashboard);
  await page.waitForURL("**/runtimes/digits-v1/versions/digits-v1");
  await page.getByRole("row", { name: /^etl/ }).waitFor();
  const changes = /^(Start|Stop|Publish|Unpublish|Roll back|New runtime|Choose a file|More for)/;
  expect(await page.getByRole("button", { name: changes }).count()).toBe(0);
  const teams = /^(Users|Audit log|Runtimes|Configuration)$/;
  expect(await page.getByRole("link", { name: teams }).count()).toBe(0);
  await settled(page);
  await expectAccessible(page);

  await page.getByRole("link", { name: "Try it" }).click();
  const message = readFileSync(join(DIGITS, "samples/classify.jsonl"), "utf8").split("\n")[0] ?? "";
  await page.getByLabel("The message as JSON").fill(message);
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await page.getByText(/"digit": \d/).waitFor();
  await page.getByRole("link", { name: "Waterfall and logs" }).click();
  await page.getByRole("rowheader", { name: "output" }).waitFor();
  await page.getByRole("link", { name: "Logs", exact: true }).click();
  await page
    .getByRole("row", { name: /confidence/ })
    .first()
    .waitFor();
  await closed(context, errors);
});
