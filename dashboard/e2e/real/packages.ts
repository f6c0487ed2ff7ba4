/** Packages made of those that the engine's own tests use. */

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { inject } from "vitest";
import type { Problem } from "../../src/api/schema";

const ROOT = resolve(import.meta.dirname, "../../..");

/** A `.krt` of a folder of the repository. */
export function packed(folder: string, name: string): string {
  const made = join(inject("folder"), `${name}.krt`);
  execFileSync(inject("krt"), ["pack", join(ROOT, folder), "-o", made], { stdio: "ignore" });
  return made;
}

/** A `.krt` with another `krt.yml`, right or wrong: `krt pack` would refuse a wrong one. */
export function changed(folder: string, name: string, change: (manifest: string) => string): string {
  const copy = mkdtempSync(join(inject("folder"), "package-"));
  cpSync(join(ROOT, folder), copy, { recursive: true });
  const manifest = join(copy, "krt.yml");
  writeFileSync(manifest, change(readFileSync(manifest, "utf8")));
  const made = join(inject("folder"), `${name}.krt`);
  execFileSync("tar", ["--create", "--gzip", "--file", made, "--directory", copy, "."]);
  return made;
}

/** What `krt check` says of a package. */
export function checked(file: string): Problem[] {
  const { stdout } = spawnSync(inject("krt"), ["check", "--json", file], { encoding: "utf8" });
  return (JSON.parse(stdout) as { problems: Problem[] }).problems;
}
