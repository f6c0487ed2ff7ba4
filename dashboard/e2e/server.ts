/**
 * Builds the dashboard and serves it with the mock of the API, as long as the tests run. It is built to a folder of its
 * own: after another build of `dist/`, the binary would be stale.
 */

import { resolve } from "node:path";
import { build, preview } from "vite";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    url: string;
  }
}

export default async function setup(project: TestProject) {
  const real = process.env.KRT_URL;
  if (real) {
    project.provide("url", real);
    return;
  }
  const outDir = resolve(import.meta.dirname, "../../target/dashboard");
  // Vitest says "test", for which React would come with its checks.
  const mode = process.env.NODE_ENV;
  process.env.NODE_ENV = "production";
  await build({ logLevel: "warn", build: { outDir, emptyOutDir: true } });
  process.env.NODE_ENV = mode;
  const server = await preview({
    build: { outDir },
    preview: { port: 0, strictPort: false },
    logLevel: "warn",
  });
  const url = server.resolvedUrls?.local[0];
  if (!url) throw new Error("the preview has no address");
  project.provide("url", url.replace(/\/$/, ""));
  return () => {
    // Streams of events never end by themselves.
    if ("closeAllConnections" in server.httpServer) server.httpServer.closeAllConnections();
    return server.close();
  };
}
