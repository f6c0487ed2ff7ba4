/** From a package to a published call to seeing it in the charts, against a real server. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closed, launch, open, serious, settled, signIn } from "../browser";
import { Api, call as post } from "./api";
import { packed } from "./packages";
import { PASSWORD } from "./server";

const SAMPLES = resolve(import.meta.dirname, "../../../examples/digits/samples");
const PICTURES = resolve(import.meta.dirname, "../../pictures");
const PICTURES_WANTED = Boolean(process.env["KRT_PICTURES"]);
const RUNTIME = "digits";
/** How long clients call for the pictures. */
const MINUTES = 4;

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

function samples(name: string): string[] {
  return readFileSync(resolve(SAMPLES, name), "utf8").trim().split("\n");
}

const call = (method: string, message: string) => post(RUNTIME, `digits.Entrypoint/${method}`, message);
/** Each message once, eight at a time. */
async function once(images: string[], evaluations: string[]) {
  const work = [...images.map((one) => ["Classify", one]), ...evaluations.map((one) => ["Evaluate", one])];
  for (let i = 0; i < work.length; i += 8) {
    const answers = await Promise.all(
      work.slice(i, i + 8).map(([method, one]) => call(method ?? "", one ?? "")),
    );
    expect(answers.filter(({ ok }) => !ok)).toEqual([]);
  }
}

/** A few minutes of changing load, for pictures: waves, a burst, and some invalid images. */
async function day(images: string[], evaluations: string[]) {
  const began = performance.now();
  const good: Promise<string>[] = [];
  const ending = async (answer: Promise<Response>) => ((await answer).ok ? "ok" : (await answer).text());
  for (let i = 0; performance.now() - began < MINUTES * 60_000; i += 1) {
    const minutes = (performance.now() - began) / 60_000;
    const burst = minutes > MINUTES * 0.6 && minutes < MINUTES * 0.68 ? 3 : 1;
    const rate = burst * (14 + 8 * Math.sin(minutes * 2.1) + 4 * Math.sin(minutes * 7.7));
    if (i % 173 === 172) void call("Classify", '{"pixels": [1, 2]}');
    good.push(ending(call("Classify", images[i % images.length] ?? "")));
    if (i % 5 === 0) good.push(ending(call("Evaluate", evaluations[(i / 5) % evaluations.length] ?? "")));
    await new Promise((wait) => setTimeout(wait, 1000 / rate));
  }
  expect((await Promise.all(good)).filter((one) => one !== "ok")).toEqual([]);
}

const at = (path: string) => `/runtimes/${RUNTIME}${path}`;

/** An image as typed by hand, one row of pixels per line. */
function rows(image: string): string {
  const { pixels } = JSON.parse(image) as { pixels: number[] };
  const lines = Array.from({ length: 8 }, (_, i) => pixels.slice(i * 8, i * 8 + 8).join(", "));
  return `{\n  "pixels": [\n    ${lines.join(",\n    ")}\n  ]\n}`;
}

/** A picture for the README, when asked for. */
async function picture(page: Page, name: string) {
  if (!PICTURES_WANTED) return;
  await settled(page);
  await page.screenshot({ path: `${PICTURES}/${name}.png` });
}

test("from a package to a published call to its charts", { timeout: 900_000 }, async () => {
  const { page, context, errors } = await open(browser, { width: 1280, height: 800 });
  await signIn(page, "admin", PASSWORD);

  await page.getByRole("button", { name: "New runtime" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Digits");
  await page.getByLabel("Id").fill(RUNTIME);
  await page.getByLabel("Description").fill("Reads handwritten digits.");
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(`**${at("/versions")}`);

  // An invalid package is refused with a hint.
  const input = page.locator("input[type=file]");
  await input.setInputFiles({
    name: "no.krt",
    mimeType: "application/octet-stream",
    buffer: Buffer.from("no"),
  });
  await page.getByRole("region", { name: "Why no.krt was refused" }).getByRole("alert").waitFor();
  await input.setInputFiles(packed("examples/digits", "digits-v1"));
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
  const evaluations = [...samples("evaluate.jsonl"), ...samples("evaluate-unusual.jsonl")];
  expect((await call("Classify", images[0] ?? "")).status).toBe(200);
  await (PICTURES_WANTED ? day(images, evaluations) : once(images, evaluations));
  expect((await call("Classify", '{"pixels": [1, 2]}')).status).toBe(500);

  await page.getByRole("row", { name: /^etl/ }).getByText(/\/s$/).waitFor();
  await page.waitForFunction(
    () => !/\b0\/s/.test(document.querySelector(".work-card")?.textContent ?? "0/s"),
  );
  await picture(page, "graph");

  await page.goto(at("/versions/digits-v1/try"));
  await page.getByLabel("The message as JSON").fill(rows(images[3] ?? ""));
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await page.getByText('"confidence":').waitFor();
  await picture(page, "try");
  await page.getByRole("link", { name: "Waterfall and logs" }).click();
  await page.getByRole("rowheader", { name: "output" }).waitFor();
  await page.getByText("workflow_elapsed_time").waitFor();
  await picture(page, "request");

  await page.goto(at("/requests?workflow=classify"));
  await page
    .getByRole("row", { name: /classify/ })
    .nth(10)
    .waitFor();
  await page.goto(at("/requests?ending=failed"));
  await page.getByRole("table").getByRole("link").first().click();
  await page.getByRole("region", { name: "Traceback" }).getByText("an image has 64 pixels, not 2").waitFor();

  await page.goto(at("/logs?text=CONFIDENCE&node=output"));
  await page.getByRole("row").nth(5).waitFor();
  expect(await page.locator(".log-row").first().innerText()).toContain("confidence");
  const before = await page.locator(".log-row").first().getAttribute("data-id");
  await call("Classify", images[1] ?? "");
  await page.waitForFunction(
    (id) => Number(document.querySelector(".log-row")?.getAttribute("data-id")) > Number(id),
    before,
  );
  await picture(page, "logs");

  const span = `from=${new Date(began).toISOString()}&to=${new Date().toISOString()}`;
  await page.goto(at(`/measurements?${span}`));
  await page.getByRole("img", { name: /^Time of a request, p95: classify/ }).waitFor();
  await picture(page, "measurements");

  // No measurement or prediction of the nodes is missing.
  if (!PICTURES_WANTED) {
    const shown = `measurement=digit&field=confidence&show=count&by=digit`;
    await page.goto(at(`/measurements/explore?${shown}&${span}`));
    await page.getByRole("button", { name: /as a table/ }).click();
    const cells = page.getByRole("region", { name: /values$/ }).locator("td.end");
    await cells.nth(20).waitFor();
    const values = (await cells.allInnerTexts()).map(Number).filter((value) => value > 0);
    // The first, all samples, the one that was tried, the one that the logs waited for.
    expect(values.reduce((all, one) => all + one, 0)).toBe(images.length + 3);
  }

  await page.goto(at(`/predictions?${span}`));
  await page
    .getByText(/^9\d\.\d %$/)
    .first()
    .waitFor();
  await page.getByRole("button", { name: /times 3 predicted as 3/ }).waitFor();
  if (!PICTURES_WANTED) {
    const figures = await page.locator(".figures").innerText();
    expect(figures.replace(/\s+/g, " ")).toMatch(
      /^Accuracy 9\d\.\d % Predictions 200 Wrong \d+ Missing values 2 New labels 1$/,
    );
  }
  await picture(page, "predictions");

  await page.goto(at("/versions/digits-v1/docs"));
  await page.getByRole("heading", { name: "Samples" }).waitFor();

  await page.goto("/audit");
  await page
    .getByRole("row", { name: /admin started digits-v1 .* first look/ })
    .first()
    .waitFor();
  await closed(context, errors);
});

test("axe finds nothing serious on pages with real data, in both themes", { timeout: 300_000 }, async () => {
  const api = await Api.signIn("admin");
  const failed = await api.send<{ requests: { id: string }[] }>(
    "GET",
    `${at("/requests")}?ending=failed&limit=1`,
  );
  const pages = [
    "/",
    at("/versions"),
    at("/versions/digits-v1"),
    at("/versions/digits-v1/try"),
    at("/versions/digits-v1/docs"),
    at("/logs"),
    at("/requests"),
    at(`/requests/${failed.requests[0]?.id}`),
    at("/measurements?range=15m"),
    at("/measurements/explore?range=15m&measurement=digit&show=count&by=digit"),
    at("/predictions?range=15m"),
    "/account",
    "/users",
    "/audit",
  ];
  for (const width of [1280, 390]) {
    const { page, context, errors } = await open(browser, { width });
    await signIn(page, "admin", PASSWORD);
    const found: string[] = [];
    for (const path of pages) {
      await page.goto(path);
      await settled(page);
      expect(await page.getByRole("alert").count(), path).toBe(0);
      const wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
      expect(await page.evaluate(wide), `${path} is wider than ${width}`).toBeLessThanOrEqual(0);
      for (const theme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: theme });
        await settled(page);
        const what = await serious(page, theme === "light" ? "all" : "colours");
        found.push(...what.map((one) => `${path}, ${width}, ${theme}: ${one}`));
      }
      await page.emulateMedia({ colorScheme: "light" });
    }
    expect(found).toEqual([]);
    await closed(context, errors);
  }
});
