/** Output of user code is shown with its hidden characters: control, direction and zero-width characters. */

import { join, resolve } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { closed, launch, open } from "../browser";
import { type Started, started } from "./process";

const PACKAGE = resolve(import.meta.dirname, "../../../crates/e2e/packages/echo");
const HIDING = "<\u202e\u200b\u2066\x1b[31m\x9b>";
const SHOWN = "<\\u{202e}\\u{200b}\\u{2066}\\u{1b}[31m\\u{9b}>";

let browser: Browser;
let krt: Started;

beforeAll(async () => {
  const folder = inject("folder");
  krt = await started(inject("krt"), ["run", PACKAGE, "--data", join(folder, "visible")], {
    E2E_SCRATCH: folder,
  });
  const failed = await fetch(`http://${krt.clients}/shop.v1.Entrypoint/Echo`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ note: `fail ${HIDING}` }),
  });
  expect(failed.status).toBe(500);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await krt?.stop();
});

test("errors and logs of user code", async () => {
  const { page, context, errors } = await open(browser, { url: krt.dashboard });
  for (const path of ["requests", "logs"]) {
    await page.goto(`/runtimes/echo-v1/${path}`);
    await page.getByText(SHOWN).first().waitFor();
    const text = (await page.locator("body").textContent()) ?? "";
    for (const hidden of ["\u202e", "\u200b", "\u2066", "\x1b", "\x9b"]) expect(text).not.toContain(hidden);
  }
  await closed(context, errors);
});
