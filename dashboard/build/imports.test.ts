/** The import rules find violations: each case plants one in a small tree of sources. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cruise, type IConfiguration, type ICruiseResult } from "dependency-cruiser";
import { afterEach, expect, test } from "vitest";
// @ts-expect-error the tool's own form of settings, which has no types
import rules from "../.dependency-cruiser.mjs";

const { forbidden, options } = rules as IConfiguration;

const SOURCES = {
  "src/app/routes.tsx": 'import("../pages/logs/index");\nimport("../pages/users");',
  "src/pages/logs/index.tsx":
    'import { line } from "./lines";\nimport { Table } from "../../ui/table";\nline(Table);',
  "src/pages/logs/lines.ts": "export const line = (_: unknown) => {};",
  "src/pages/users.tsx": 'import { Table } from "../ui/table";\nTable;',
  "src/ui/table.tsx": 'import { bytes } from "../lib/format";\nexport const Table = bytes;',
  "src/lib/format.ts": "export const bytes = 1;",
};

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** The names of the rules that the sources break, with these in place of some. */
async function broken(changed: Record<string, string>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "imports-"));
  folders.push(folder);
  for (const [path, text] of Object.entries({ ...SOURCES, ...changed })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const { tsConfig: _, ...others } = options ?? {};
  const settings = { ...others, baseDir: folder, validate: true, ruleSet: { forbidden: forbidden ?? [] } };
  const { output } = await cruise(["src"], settings);
  const { violations } = (output as ICruiseResult).summary;
  return [...new Set(violations.map((violation) => violation.rule.name))];
}

test("sources that follow the rules break none", async () => {
  expect(await broken({})).toEqual([]);
});

test.each([
  ["pages-apart", { "src/pages/users.tsx": 'import { line } from "./logs/lines";\nline(1);' }],
  [
    "pages-apart",
    { "src/pages/users.tsx": 'import type { line } from "./logs/lines";\nexport type L = typeof line;' },
  ],
  ["pages-apart", { "src/pages/logs/index.tsx": 'export { default } from "../users";' }],
  ["pages-apart", { "src/pages/logs/index.tsx": 'void import("../users");' }],
  ["pages-by-their-routes", { "src/app/shell.tsx": 'import "../pages/users";' }],
  [
    "actions-stand-above-the-app",
    { "src/actions/act.ts": "export {};", "src/app/shell.tsx": 'import "../actions/act";' },
  ],
  ["parts-know-no-app", { "src/app/theme.ts": "export {};", "src/ui/table.tsx": 'import "../app/theme";' }],
  ["parts-in-order", { "src/lib/format.ts": 'import "../ui/other";', "src/ui/other.ts": "export {};" }],
  ["no-cycles", { "src/lib/format.ts": 'import "./other";', "src/lib/other.ts": 'import "./format";' }],
])("%s is found", async (rule, changed) => {
  expect(await broken(changed as unknown as Record<string, string>)).toEqual([rule]);
});
