/** Starts a real `krt serve` that the tests share: `KRT=path/to/krt npm run real`. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    /** Host and port of clients. */
    public: string;
    krt: string;
    /** Where tests may leave files. */
    folder: string;
  }
}

export const PASSWORD = "correct horse battery";

export default async function setup(project: TestProject) {
  const krt = process.env["KRT"];
  if (!krt) throw new Error("KRT does not say where krt is");
  const folder = mkdtempSync(join(tmpdir(), "krt-dashboard-"));
  const args = ["--listen", "127.0.0.1:0", "--dashboard", "127.0.0.1:0", "--data", join(folder, "data")];
  const server = spawn(resolve(krt), ["serve", ...args], {
    env: { ...process.env, KRT_ADMIN_PASSWORD: PASSWORD },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const found = await addresses(server);
  project.provide("url", found.dashboard);
  project.provide("public", found.clients);
  project.provide("krt", resolve(krt));
  project.provide("folder", folder);
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
