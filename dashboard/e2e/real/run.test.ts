/** The dashboard of `krt run`: without signing in, to look and to call. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { closed, expectAccessible, launch, open, settled } from "../browser";
import { type Started, started } from "./process";

const ROOT = resolve(import.meta.dirname, "../../..");
const DIGITS = join(ROOT, "examples/digits");

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

test("a stream is shown as it comes, and cancelling it ends the handler", async () => {
  const scratch = join(inject("folder"), "streams");
  mkdirSync(scratch);
  const marked = (name: string) => expect.poll(() => existsSync(join(scratch, name))).toBe(true);
  const data = ["--data", join(inject("folder"), "streams-data")];
  const streams = await started(inject("krt"), ["run", join(ROOT, "crates/e2e/packages/streams"), ...data], {
    E2E_SCRATCH: scratch,
  });
  const { page, context, errors } = await open(browser, { url: streams.dashboard });
  const call = async (order: string) => {
    await page.getByLabel("The message as JSON").fill(order);
    await page.getByRole("button", { name: "Call", exact: true }).click();
  };
  await page.goto("/runtimes/streams-v1/versions/streams-v1/try?method=/streams.Entrypoint/Stream");
  const messages = page.getByRole("log", { name: "Messages" });

  await call('{"name": "held", "count": 2, "then": "hold"}');
  await messages.getByText('{"number":1}').waitFor();
  await marked("held.begun");
  writeFileSync(join(scratch, "held"), "");
  await messages.getByText('{"text":"held"}').waitFor();
  await page.getByText(/^3 messages, /).waitFor();
  await expectAccessible(page);
  await page.getByRole("link", { name: "Waterfall and logs" }).click();
  await page.getByText("First message", { exact: true }).waitFor();
  await page.goBack();

  await call('{"name": "left", "count": 1, "then": "hold"}');
  await marked("left.begun");
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("the call was cancelled here").waitFor();
  await marked("left.closed");

  await call('{"count": 1, "then": "fail"}');
  await page.getByText("error in 'streamer': no more").waitFor();
  await closed(context, errors);
  await streams.stop();
});
