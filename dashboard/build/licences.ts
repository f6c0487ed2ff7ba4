/** Writes `licences.txt` into the built files: who wrote what is in them, and under which terms. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plugin } from "vite";

interface Description {
  name?: string;
  version?: string;
  license?: string;
}

/** The folder of the package that a module is from; a nested `package.json` without a version is not one. */
function packageOf(id: string): string | null {
  const path = id.split("?")[0] ?? id;
  if (!path.includes("/node_modules/")) return null;
  for (let folder = dirname(path); folder.includes("/node_modules/"); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file) && describe(folder).version) return folder;
  }
  return null;
}

function describe(folder: string): Description {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Description;
}

function notice(folder: string): string {
  const { name, version, license } = describe(folder);
  const file = readdirSync(folder).find((one) => /^licen[cs]e(\.|$)/i.test(one));
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : `Licence: ${license}`;
  return `${name} ${version} (${license})\n\n${text}\n`;
}

/** Fonts are in style sheets, which are no modules: their packages are named. */
export function licences(fonts: string[]): Plugin {
  const folders = new Set<string>();
  return {
    name: "licences",
    apply: "build",
    moduleParsed: ({ id }) => {
      const folder = packageOf(id);
      if (folder) folders.add(folder);
    },
    generateBundle() {
      for (const font of fonts) folders.add(join(import.meta.dirname, "../node_modules", font));
      const notices = [...folders].map(notice).sort();
      const rule = `\n${"-".repeat(80)}\n\n`;
      this.emitFile({ type: "asset", fileName: "licences.txt", source: [...new Set(notices)].join(rule) });
    },
  };
}
