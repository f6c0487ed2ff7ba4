/** Starts a real `krt serve` that the tests share: `KRT=path/to/krt npm run real`. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TestProject } from "vitest/node";
import { started } from "./process";

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
  const server = await started(resolve(krt), ["serve", "--data", join(folder, "data")], {
    KRT_ADMIN_PASSWORD: PASSWORD,
  });
  project.provide("url", server.dashboard);
  project.provide("public", server.clients);
  project.provide("krt", resolve(krt));
  project.provide("folder", folder);
  return async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}
