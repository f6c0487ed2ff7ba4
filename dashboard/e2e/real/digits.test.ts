/** From a package to a published call to seeing it in the charts, against a real server. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { closed, launch, open, serious, settled, signIn } from "../browser";
import { PASSWORD } from "./server";

const SAMPLES = resolve(import.meta.dirname, "../../../examples/digits/samples");
const PICTURES = resolve(import.meta.dirname, "../../pictures");
/** A runtime of its own, where the server is not. */
const RUNTIME = process.env["KRT_RUNTIME"] ?? (process.env["KRT_URL"] ? `d${Date.now() % 1e9}` : "digits");

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

function samples(name: string): string[] {
  return readFileSync(resolve(SAMPLES, name), "utf8").trim().split("\n");
}

async function call(method: string, message: string): Promise<Response> {
  return fetch(`http://${inject("public")}/digits.Entrypoint/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", "krt-runtime": RUNTIME },
    body: message,
  });
}

const at = (path: string) => `/runtimes/${RUNTIME}${path}`;

async function shown(page: Page, name: string) {
  await settled(page);
  expect(await serious(page), name).toEqual([]);
}

/** A picture for the README, when asked for. */
async function picture(page: Page, name: string) {
  if (!process.env["KRT_PICTURES"]) return;
  await settled(page);
  await page.screenshot({ path: `${PICTURES}/${name}.png` });
}

test("from a package to a published call to its charts", { timeout: 240_000 }, async () => {
  const { page, context, errors } = await open(browser, { width: 1280, height: 800 });
  await signIn(page, "admin", PASSWORD);

  await page.getByRole("button", { name: "New runtime" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Digits");
  await page.getByLabel("Id").fill(RUNTIME);
  await page.getByLabel("Description").fill("Reads handwritten digits.");
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(`**${at("/versions")}`);

  // A file that is no package is refused, with what to do.
  const input = page.locator("input[type=file]");
  await input.setInputFiles({
    name: "no.krt",
    mimeType: "application/octet-stream",
    buffer: Buffer.from("no"),
  });
  await page.getByRole("region", { name: "Why no.krt was refused" }).getByRole("alert").waitFor();
  await shown(page, "refused");
  await input.setInputFiles(inject("package"));
  await page.waitForURL(`**${at("/versions/digits-v1")}`);
  await page.getByRole("button", { name: "Start" }).click();
  await page.getByLabel("Comment").fill("first look");
  await page.getByRole("dialog").getByRole("button", { name: "Start" }).click();
  await page.getByRole("button", { name: "Publish" }).click({ timeout: 120_000 });
  await page.getByRole("dialog").getByRole("button", { name: "Publish" }).click();
  await page.getByRole("heading", { name: /digits-v1 Published/ }).waitFor();

  // Clients call it.
  const began = Date.now();
  const images = samples("classify.jsonl");
  expect((await call("Classify", images[0] ?? "")).status).toBe(200);
  const pairs = samples("evaluate.jsonl");
  const work: [string, string][] = images.flatMap((image, i): [string, string][] => [
    ["Classify", image],
    ["Evaluate", pairs[i] ?? ""],
  ]);
  for (const one of samples("evaluate-unusual.jsonl")) work.push(["Evaluate", one]);
  for (let i = 0; i < work.length; i += 8) {
    await Promise.all(work.slice(i, i + 8).map(([method, message]) => call(method, message)));
    await new Promise((wait) => setTimeout(wait, process.env["KRT_PICTURES"] ? 400 : 60));
  }
  expect((await call("Classify", '{"pixels": [1, 2]}')).status).toBe(500);

  await page.getByRole("row", { name: /^etl/ }).getByText(/\/s$/).waitFor();
  await page.waitForFunction(
    () => !/\b0\/s/.test(document.querySelector(".work-card")?.textContent ?? "0/s"),
  );
  await shown(page, "graph");
  await picture(page, "graph");

  await page.goto(at("/versions/digits-v1/try"));
  await page.getByLabel("The message as JSON").fill(images[3] ?? "");
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await page.getByText('"confidence":').waitFor();
  await shown(page, "try");
  await picture(page, "try");
  await page.getByRole("link", { name: "Waterfall and logs" }).click();
  await page.getByRole("rowheader", { name: "output" }).waitFor();
  await page.getByText("workflow_elapsed_time").waitFor();
  await shown(page, "request");
  await picture(page, "request");

  await page.goto(at("/requests?ending=failed"));
  await page.getByRole("table").getByRole("link").first().click();
  await page.getByRole("region", { name: "Traceback" }).getByText("an image has 64 pixels, not 2").waitFor();
  await shown(page, "failed request");

  await page.goto(at("/logs?text=CONFIDENCE&node=output"));
  await page.getByRole("row").nth(5).waitFor();
  expect(await page.locator(".log-row").first().innerText()).toContain("confidence");
  const before = await page.locator(".log-row").first().getAttribute("data-id");
  await call("Classify", images[1] ?? "");
  await page.waitForFunction(
    (id) => Number(document.querySelector(".log-row")?.getAttribute("data-id")) > Number(id),
    before,
  );
  await shown(page, "logs");
  await picture(page, "logs");

  const span = `from=${new Date(began).toISOString()}&to=${new Date().toISOString()}`;
  await page.goto(at(`/measurements?${span}`));
  await page.getByRole("img", { name: /^Time of a request, p95: classify/ }).waitFor();
  await shown(page, "measurements");
  await picture(page, "measurements");

  await page.goto(at(`/predictions?${span}`));
  await page
    .getByText(/^9\d\.\d %$/)
    .first()
    .waitFor();
  await page.getByRole("button", { name: /times 3 predicted as 3/ }).waitFor();
  await shown(page, "predictions");
  await picture(page, "predictions");

  await page.goto(at("/versions/digits-v1/docs"));
  await page.getByRole("heading", { name: "Samples" }).waitFor();
  await shown(page, "docs");

  await page.goto("/audit");
  await page
    .getByRole("row", { name: /admin started digits-v1 .* first look/ })
    .first()
    .waitFor();
  await shown(page, "audit");
  await closed(context, errors);
});
