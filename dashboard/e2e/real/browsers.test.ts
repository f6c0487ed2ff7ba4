/** Requests of pages of other origins to the service and the dashboard, in a real browser. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { launch } from "../browser";
import { type Started, started } from "./process";

const PACKAGE = resolve(import.meta.dirname, "../../../crates/e2e/packages/echo");
const ECHO = "/shop.v1.Entrypoint/Echo";
const NOTE = { note: "Ada" };

let browser: Browser;
let site: Server;
let origin: string;
let closed: Started;
let open: Started;

beforeAll(async () => {
  site = createServer((_, response) =>
    response.setHeader("content-type", "text/html").end("<title>page</title>"),
  );
  await new Promise<void>((done) => site.listen(0, "127.0.0.1", done));
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  const run = (name: string, ...flags: string[]) =>
    started(inject("krt"), ["run", PACKAGE, "--data", join(inject("folder"), name), ...flags], {
      E2E_SCRATCH: inject("folder"),
    });
  closed = await run("closed");
  open = await run("open", "--allow-origin", origin);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  site?.close();
  await Promise.all([closed?.stop(), open?.stop()]);
});

interface Sent {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  mode?: RequestMode;
  credentials?: RequestCredentials;
}

/** The part of an answer that a page can read, or `null` if the browser blocks it. */
async function fetched(
  page: Page,
  url: string,
  sent: Sent,
): Promise<{ status: number; text: string } | null> {
  return page.evaluate(
    async ([url, sent]) => {
      try {
        const response = await fetch(url, sent);
        return { status: response.status, text: await response.text() };
      } catch {
        return null;
      }
    },
    [url, sent] as const,
  );
}

const call: Sent = {
  method: "POST",
  headers: { "content-type": "application/json", "connect-protocol-version": "1" },
  body: JSON.stringify(NOTE),
};
// A request that a page may send anywhere without a preflight.
const simple: Sent = { method: "POST", headers: { "content-type": "text/plain" }, body: call.body ?? "" };

async function pageAt(url: string): Promise<{ page: Page; statuses: number[] }> {
  const page = await browser.newPage();
  const statuses: number[] = [];
  page.on("response", (response) => {
    if (response.url().includes(ECHO)) statuses.push(response.status());
  });
  await page.goto(url);
  return { page, statuses };
}

test("pages of other origins cannot call", async () => {
  const { page, statuses } = await pageAt(origin);
  const url = `http://${closed.clients}${ECHO}`;
  for (const sent of [call, simple, { ...simple, mode: "no-cors" as const }, { method: "GET" }])
    expect((await fetched(page, url, sent))?.text ?? "").toBe("");
  // The browser reports only some of the answers that it blocks.
  await expect.poll(() => statuses.length).toBeGreaterThanOrEqual(1);
  expect(statuses.filter((status) => status !== 403)).toEqual([]);
  expect(await fetched(page, `${closed.dashboard}/api/v1/server`, {})).toBe(null);
  // Nor does it frame the dashboard.
  await page.setContent(`<iframe src="${closed.dashboard}/"></iframe>`);
  const frame = page.frames().find((one) => one !== page.mainFrame());
  expect(await frame?.getByRole("navigation").count()).toBe(0);
  await page.close();
});

test("pages of allowed origins can call by Connect", async () => {
  const { page } = await pageAt(origin);
  const url = `http://${open.clients}${ECHO}`;
  const answer = await fetched(page, url, call);
  expect(answer?.status).toBe(200);
  expect(JSON.parse(answer?.text ?? "")).toEqual(NOTE);
  const included = await fetched(page, url, { ...call, credentials: "include" });
  expect(included?.status).toBe(200);
  // The service refuses a body of this content type, and the page can read the reason.
  const refused = await fetched(page, url, simple);
  expect(refused?.status).toBe(415);
  expect(refused?.text).toContain("content-type: application/json");
  // The dashboard is for its own pages all the same.
  expect(await fetched(page, `${open.dashboard}/api/v1/server`, {})).toBe(null);
  await page.close();
});

test("pages of the port itself can call", async () => {
  const { page } = await pageAt(`http://${closed.clients}/`);
  expect((await fetched(page, ECHO, call))?.status).toBe(200);
  await page.close();
});
