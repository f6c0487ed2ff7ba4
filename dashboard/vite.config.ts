import { fileURLToPath } from "node:url";
import optimizeLocales from "@react-aria/optimize-locales-plugin";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { licences } from "./build/licences.ts";
import { api } from "./dev/api.ts";

/** Serves the mock of the API, in development and to tests; nothing of it gets into the built files. */
function mock(): Plugin {
  return {
    name: "mock-api",
    configureServer: (server) => void server.middlewares.use("/api/v1", api()),
    configurePreviewServer: (server) => void server.middlewares.use("/api/v1", api()),
  };
}

// With KRT_API=http://127.0.0.1:PORT the pages speak to a real server instead of the mock.
const real = process.env.KRT_API;
const proxy = real ? { "/api": { target: real, changeOrigin: true } } : undefined;

export default defineConfig({
  // The pages speak English; the words of thirty other languages would be most of the components.
  plugins: [
    { ...optimizeLocales.vite({ locales: ["en-US"] }), enforce: "pre" },
    licences(["@fontsource-variable/inter", "@fontsource-variable/jetbrains-mono"]),
    react({ jsxImportSource: "visible" }),
    ...(real ? [] : [mock()]),
  ],
  resolve: { alias: { visible: fileURLToPath(new URL("src/visible", import.meta.url)) } },
  server: { host: "127.0.0.1", port: 5173, proxy },
  preview: { host: "127.0.0.1", port: 4173, proxy },
  build: {
    target: "es2023",
    // Data URLs would need another policy for content, and save nothing on localhost.
    assetsInlineLimit: 0,
    reportCompressedSize: true,
    chunkSizeWarningLimit: 700,
  },
});
