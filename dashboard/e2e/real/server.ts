/**
 * Starts a real `krt serve` with the package of examples/digits at hand: `KRT=path/to/krt npm run real`.
 * Or takes one that runs: KRT_URL (the dashboard), KRT_PUBLIC (host and port of clients), KRT_PACKAGE.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    public: string;
    package: string;
  }
}

const ROOT = resolve(import.meta.dirname, "../../..");
export const PASSWORD = "correct horse battery";

export default async function setup(project: TestProject) {
  const { KRT_URL: url, KRT_PUBLIC: address, KRT_PACKAGE: file } = process.env;
  if (url && address && file) {
    project.provide("url", url);
    project.provide("public", address);
    project.provide("package", file);
    return;
  }
  const krt = process.env["KRT"];
  if (!krt) throw new Error("KRT does not say where krt is");
  const folder = mkdtempSync(join(tmpdir(), "krt-dashboard-"));
  const made = join(folder, "digits-v1.krt");
  execFileSync(resolve(krt), ["pack", join(ROOT, "examples/digits"), "-o", made], { stdio: "ignore" });
  const args = [
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--dashboard",
    "127.0.0.1:0",
    "--data",
    join(folder, "data"),
  ];
  const server = spawn(resolve(krt), args, {
    env: { ...process.env, KRT_ADMIN_PASSWORD: PASSWORD },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const found = await addresses(server);
  project.provide("url", found.dashboard);
  project.provide("public", found.clients);
  project.provide("package", made);
  return async () => {
    const ended = new Promise((done) => server.once("exit", done));
    server.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
}

/** What the server says about where it listens. */
function addresses(server: ChildProcess): Promise<{ clients: string; dashboard: string }> {
  return new Promise((done, fail) => {
    const lines: string[] = [];
    let clients: string | undefined;
    const read = (line: string) => {
      lines.push(line);
      clients ??= /listening on (\S+:\d+)/.exec(line)?.[1];
      const dashboard = /dashboard is at (https?:\/\/[^\s"]+)/.exec(line)?.[1];
      if (clients && dashboard) done({ clients, dashboard });
    };
    for (const stream of [server.stdout, server.stderr]) if (stream) createInterface(stream).on("line", read);
    server.once("exit", (code) => fail(new Error(`krt serve ended with ${code}:\n${lines.join("\n")}`)));
  });
}
