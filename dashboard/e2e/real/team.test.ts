/** A team's view of changes by others, of invalid packages, and of secrets, against a real server. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Problem } from "../../src/api/schema";
import { closed, drop, launch, open, signIn } from "../browser";
import { Api } from "./api";
import { changed, checked, packed } from "./packages";
import { PASSWORD } from "./server";

const LISTEN = "/runtimes/team/logs";
const SECRET = "a value that only its owners see";
const VERSIONS = "/runtimes/team/versions";

let browser: Browser;
let admin: Api;
beforeAll(async () => {
  browser = await launch();
  admin = await Api.signIn("admin");
  await admin.user("grace", "manager");
  await admin.user("linus", "viewer");
  await admin.runtime("team", "Team");
  await admin.runtime("vault", "Vault");
});
afterAll(() => browser.close());

async function person(login: string, path: string) {
  const { page, context, errors } = await open(browser);
  await signIn(page, login, PASSWORD);
  await page.goto(path);
  return { page, done: () => closed(context, errors) };
}

/** Confirms the dialog of a button. */
async function confirm(page: Page, action: string, comment = "") {
  const dialog = page.getByRole("dialog").or(page.getByRole("alertdialog"));
  if (comment) await dialog.getByLabel("Comment").fill(comment);
  await dialog.getByRole("button", { name: action }).click();
  await dialog.waitFor({ state: "detached" });
}

/** A mark that a reload of the page removes. */
const mark = (page: Page) => page.evaluate(() => void Object.assign(window, { marked: true }));
const marked = (page: Page) => page.evaluate(() => "marked" in window);

test("disabled users see the sign-in page at once", async () => {
  await admin.user("edsger", "viewer");
  for (const path of [VERSIONS, LISTEN]) {
    const edsger = await person("edsger", path);
    await edsger.page.waitForFunction(() => !document.querySelector(".waiting"));
    await admin.send("PATCH", "/users/edsger", { disabled: true });
    await edsger.page.waitForURL("**/sign-in?next=*");
    await admin.send("PATCH", "/users/edsger", { disabled: false });
    await edsger.done();
  }
});

test("two browsers see each other's changes", { timeout: 180_000 }, async () => {
  const [first, second] = ["plain-v1", "plain-v2"].map((name) =>
    changed("crates/e2e/packages/plain", name, (manifest) => manifest.replace("plain-v1", name)),
  ) as [string, string];
  const grace = await person("grace", VERSIONS);
  const linus = await person("linus", VERSIONS);
  const ada = await person("admin", VERSIONS);
  await linus.page.getByRole("heading", { name: "No version yet" }).waitFor();
  for (const { page } of [linus, ada]) await mark(page);

  // A new version, its start and its publication.
  await drop(grace.page, first);
  await grace.page.waitForURL(`**${VERSIONS}/plain-v1`);
  await linus.page.getByRole("row", { name: /plain-v1 Created/ }).waitFor();
  await grace.page.getByRole("button", { name: "Start" }).click();
  await confirm(grace.page, "Start");
  await linus.page.getByRole("row", { name: /plain-v1 Started/ }).waitFor({ timeout: 60_000 });
  await grace.page.getByRole("button", { name: "Publish" }).click();
  await confirm(grace.page, "Publish", "for all");
  await linus.page.getByRole("row", { name: /plain-v1 Published .* by grace/ }).waitFor();

  // The other way round: grace sees changes by the admin without navigating.
  await mark(grace.page);
  await drop(ada.page, second);
  await ada.page.waitForURL(`**${VERSIONS}/plain-v2`);
  await linus.page.getByRole("row", { name: /plain-v2 Created .* by admin/ }).waitFor();
  await ada.page.getByRole("button", { name: "Start" }).click();
  await confirm(ada.page, "Start");
  await ada.page.getByRole("button", { name: "Publish" }).click({ timeout: 60_000 });
  await confirm(ada.page, "Publish");
  await grace.page.getByRole("heading", { name: /plain-v1 Started/ }).waitFor();
  await linus.page.getByRole("row", { name: /plain-v2 Published/ }).waitFor();

  // A deleted version disappears from the list, and its page reports the deletion.
  await grace.page.getByLabel("More for plain-v1").click();
  await grace.page.getByRole("menuitem", { name: "Stop" }).click();
  await confirm(grace.page, "Stop");
  await grace.page.getByRole("heading", { name: /plain-v1 Stopped/ }).waitFor();
  expect(await marked(grace.page)).toBe(true);
  await ada.page.getByRole("link", { name: "Versions" }).first().click();
  await ada.page.getByLabel("More for plain-v1").click();
  await ada.page.getByRole("menuitem", { name: "Delete" }).click();
  await confirm(ada.page, "Delete", "not needed any more");
  await linus.page.getByRole("link", { name: "plain-v1" }).waitFor({ state: "detached" });
  await grace.page
    .getByRole("alert")
    .getByText(/plain-v1/)
    .waitFor();

  expect(await marked(linus.page)).toBe(true);
  expect(await marked(ada.page)).toBe(true);
  await linus.page.getByRole("row", { name: /plain-v2 Published/ }).waitFor();
  for (const one of [grace, linus, ada]) await one.done();
});

test("a dropped package with mistakes shows the problems of krt check", async () => {
  const file = changed("crates/e2e/packages/script", "mistaken", (manifest) =>
    manifest
      .replace("src/node/main.py", "src/node/mian.py")
      .replace("entrypoint: Two", "entrypoint: Tow")
      .replace(/- last$/m, "- lost"),
  );
  const problems = checked(file);
  expect(problems.map(({ severity }) => severity)).toEqual(["error", "error", "error", "warning"]);
  const { page, done } = await person("grace", VERSIONS);
  await drop(page, file);
  const shown = page.getByRole("region", { name: "Why mistaken.krt was refused" }).getByRole("listitem");
  await shown.first().waitFor();
  const plain = (text: string) => text.replaceAll("`", "").replace(/\s+/g, " ").trim();
  const words = ({ severity, file, line, column, message, hint }: Problem) =>
    plain(
      `${severity} ${[file, line, column].filter(Boolean).join(":")} ${message} ${hint ? `hint: ${hint}` : ""}`,
    );
  expect((await shown.allInnerTexts()).map((text) => plain(text).toLowerCase())).toEqual(
    problems.map((problem) => words(problem).toLowerCase()),
  );
  await done();
});

test("viewers see no actions and no secrets", { timeout: 120_000 }, async () => {
  const grace = await person("grace", "/runtimes/vault/versions");
  await drop(grace.page, packed("crates/e2e/packages/secret", "secret-v1"));
  await grace.page.waitForURL("**/versions/secret-v1");
  const values = { API_KEY: SECRET, PLAIN: SECRET, CERTIFICATE: SECRET };
  await admin.send("PUT", "/runtimes/vault/versions/secret-v1/config", { values, comment: "" });
  await grace.page.goto("/runtimes/vault/versions/secret-v1/config");
  await grace.page.getByRole("button", { name: "Show API_KEY" }).click();
  await grace.page.getByText(SECRET).waitFor();
  await grace.page.getByRole("button", { name: "Start" }).click();
  await confirm(grace.page, "Start");
  await grace.page.getByRole("heading", { name: /secret-v1 Started/ }).waitFor({ timeout: 60_000 });
  await grace.done();

  const linus = await person("linus", "/");
  const bodies: Promise<string>[] = [];
  linus.page.on("response", (answer) => {
    const stream = answer.headers()["content-type"]?.startsWith("text/event-stream");
    if (answer.url().includes("/api/") && !stream) bodies.push(answer.text().catch(() => ""));
  });
  const pages: [string, string][] = [
    ["/", "Vault"],
    ["/runtimes/vault/versions", "secret-v1"],
    ["/runtimes/vault/versions/secret-v1", "keeper"],
    ["/runtimes/vault/versions/secret-v1/try", "needs the role manager"],
    ["/runtimes/vault/versions/secret-v1/config", "CERTIFICATE"],
    ["/runtimes/vault/logs", "Logs"],
    ["/runtimes/vault/requests", "Requests"],
    ["/runtimes/vault/measurements", "Measurements"],
  ];
  const ACTIONS =
    /^(New runtime|Start|Stop|Publish|Unpublish|Roll back|Delete|Set|Change|Show|New board|Choose|Download|More for (?!.*chart))/;
  for (const [path, text] of pages) {
    await linus.page.goto(path);
    await linus.page.locator("main").getByText(text).first().waitFor();
    await linus.page.waitForFunction(() => !document.querySelector(".waiting"));
    const found = linus.page.locator("main").getByRole("button", { name: ACTIONS });
    expect(await found.allInnerTexts(), path).toEqual([]);
    expect(await linus.page.getByRole("link", { name: ACTIONS }).count(), path).toBe(0);
    expect(await linus.page.locator(".dropzone, .waiting").count(), path).toBe(0);
    expect(await linus.page.content(), path).not.toContain(SECRET);
  }
  await linus.page.goto("/runtimes/vault/versions/secret-v1/try");
  expect(await linus.page.getByRole("button", { name: "Call", exact: true }).isDisabled()).toBe(true);
  for (const path of ["/users", "/audit"]) {
    await linus.page.goto(path);
    await linus.page
      .getByRole("alert")
      .filter({ hasText: "This needs the role admin, linus is viewer" })
      .waitFor();
  }
  const answers = await Promise.all(bodies);
  expect(answers.length).toBeGreaterThan(10);
  expect(answers.filter((body) => body.includes(SECRET))).toEqual([]);
  expect(answers.some((body) => body.includes("CERTIFICATE"))).toBe(true);
  await linus.done();
});
