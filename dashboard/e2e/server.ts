/** Builds the dashboard and serves it with the mock of the API, as long as the tests run. */

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
  await build({ logLevel: "warn" });
  const server = await preview({ preview: { port: 0, strictPort: false }, logLevel: "warn" });
  const url = server.resolvedUrls?.local[0];
  if (!url) throw new Error("the preview has no address");
  project.provide("url", url.replace(/\/$/, ""));
  return () => {
    // Streams of events never end by themselves.
    if ("closeAllConnections" in server.httpServer) server.httpServer.closeAllConnections();
    return server.close();
  };
}
