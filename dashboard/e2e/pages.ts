/** Every page, with what it is like to be looked at. */

const v = "/runtimes/digits/versions";

export const PAGES: [string, string][] = [
  ["runtimes", "/"],
  ["versions", v],
  ["version-graph", `${v}/digits-v4`],
  ["version-error", `${v}/digits-v2`],
  ["version-created", `${v}/digits-v5`],
  ["graph-large", "/runtimes/prices/versions/prices-2?workflow=explain"],
  ["try", `${v}/digits-v4/try`],
  ["try-form", "/runtimes/prices/versions/prices-2/try?as=python"],
  ["docs", `${v}/digits-v4/docs`],
  ["config", `${v}/digits-v5/config`],
  ["logs", "/runtimes/digits/logs?live=off"],
  ["logs-search", "/runtimes/digits/logs?text=blank&live=off"],
  ["requests", "/runtimes/digits/requests"],
  ["requests-failed", "/runtimes/digits/requests?ending=failed"],
  ["measurements", "/runtimes/digits/measurements"],
  ["board", "/runtimes/digits/measurements/boards/b1?range=6h"],
  ["explore", "/runtimes/digits/measurements/explore?measurement=node_elapsed_time&show=p95&by=node"],
  ["predictions", "/runtimes/digits/predictions"],
  ["predictions-none", "/runtimes/greeter/predictions"],
  ["account", "/account"],
  ["users", "/users"],
  ["audit", "/audit"],
  ["not-found", "/nowhere"],
];
