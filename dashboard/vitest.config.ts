import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    teardownTimeout: 3000,
    projects: [
      { test: { name: "imports", include: ["build/*.test.ts"] } },
      { test: { name: "unit", include: ["src/**/*.test.ts", "dev/**/*.test.ts"] } },
      {
        test: {
          name: "e2e",
          include: ["e2e/*.test.ts"],
          globalSetup: "e2e/server.ts",
          testTimeout: 30_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "real",
          include: ["e2e/real/*.test.ts"],
          globalSetup: "e2e/real/server.ts",
          hookTimeout: 60_000,
          testTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "shots",
          include: ["e2e/*.shots.ts"],
          globalSetup: "e2e/server.ts",
          testTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
