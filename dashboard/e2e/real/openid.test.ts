/** Signing in at an OpenID provider, in a browser that knows it and the dashboard. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { closed, launch, open, serious, signIn } from "../browser";
import { type Started, started } from "./process";
import { PASSWORD } from "./server";

/** PyPI's `oidc-provider-mock`, which accepts every user name: `make target/tools/ready`. */
const PROVIDER = resolve(import.meta.dirname, "../../../target/tools/bin/oidc-provider-mock");

/** Ends the provider when its standard input is closed, however the tests end. */
const RUN = '"$0" "$@" & read -r _; kill -9 $!; wait';

function user(name: string, ...groups: string[]): string {
  return JSON.stringify({ sub: `${name}-1`, preferred_username: name, groups });
}

/** Starts a provider; returns its address, and a function that ends it. */
async function provider(...users: string[]): Promise<[string, () => void]> {
  const claims = users.flatMap((one) => ["--user-claims", one]);
  const child = spawn("sh", ["-c", RUN, PROVIDER, "--port", "0", "--require-nonce", "true", ...claims]);
  const issuer = new Promise<string>((done, fail) => {
    for (const stream of [child.stdout, child.stderr])
      createInterface(stream).on("line", (line) => {
        const url = /running on (http:\S+)/.exec(line)?.[1];
        if (url) done(url);
      });
    child.once("exit", (code) => fail(new Error(`the provider ended with ${code}`)));
  });
  return [await issuer, () => void child.stdin.end()];
}

/** A port that was free just now: the provider must know where it sends browsers back to. */
function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      server.close(() => done(port));
    });
  });
}

let browser: Browser;
let server: Started;
let stop: () => void;
beforeAll(async () => {
  if (!existsSync(PROVIDER))
    throw new Error(`${PROVIDER} is not there; \`make target/tools/ready\` installs it`);
  const [issuer, end] = await provider(user("ada", "ops"), user("grace", "guests"));
  stop = end;
  const openid = {
    "--openid-issuer": issuer,
    "--openid-client": "krt",
    "--openid-name": "The lab",
    "--openid-role": "admin=ops",
    "--openid-default-role": "none",
  };
  const data = join(inject("folder"), "openid");
  const env = { KRT_ADMIN_PASSWORD: PASSWORD, KRT_OPENID_SECRET: "of the client" };
  const args = ["serve", "--data", data, ...Object.entries(openid).flat()];
  server = await started(inject("krt"), args, env, await freePort());
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  stop?.();
});

test("users with a role can sign in to their page, and out", async () => {
  const { page, context, errors } = await open(browser, { url: server.dashboard });
  await page.goto("/audit");
  await page.getByRole("link", { name: "Sign in with The lab" }).click();
  await page.getByRole("heading", { name: "Authorize Client" }).waitFor();
  await page.getByRole("button", { name: "ada-1" }).click();
  await page.getByRole("heading", { name: "Audit log" }).waitFor();
  expect(new URL(page.url()).pathname).toBe("/audit");
  await page.getByRole("row", { name: /ada/ }).first().waitFor();

  // An admin, by the group; everyone sees where such a user signs in.
  await page.goto("/users");
  await page.getByRole("row", { name: /ada.*signs in with The lab/ }).waitFor();
  await page.getByRole("button", { name: /^ada/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("link", { name: "Sign in with The lab" }).waitFor();
  await page.goto("/users");
  await page.waitForURL(/\/sign-in/);
  await closed(context, errors);
});

test("users without a role, or who decline, see the reason", async () => {
  const { page, context, errors } = await open(browser, { url: server.dashboard });
  for (const [button, why] of [
    ["grace-1", /None of your groups/],
    // This provider omits the state, so the refusal matches no sign-in.
    ["Deny", /not begun in this browser/],
  ] as const) {
    await page.goto("/sign-in");
    await page.getByRole("link", { name: "Sign in with The lab" }).click();
    await page.getByRole("button", { name: button }).click();
    await page.getByText(why).first().waitFor();
    expect(await serious(page)).toEqual([]);
    await page.getByRole("link", { name: "Back to the sign-in page" }).click();
    await page.getByRole("heading", { name: "Sign in to krt" }).waitFor();
  }
  // The way with a password is another one.
  await signIn(page, "admin", PASSWORD);
  await closed(context, errors);
});
