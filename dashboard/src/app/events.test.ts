import { expect, test } from "vitest";
import { wait } from "../api/live";
import { stale } from "./events";
import { may } from "./session";

test.each([
  ["version", "digits", [["runtimes"], ["audit"]]],
  ["board", "digits", [["boards", "digits"]]],
  ["user", null, [["users"], ["session"], ["audit"]]],
] as const)("after %s", (kind, runtime, keys) => expect(stale({ kind, runtime })).toEqual(keys));

test("the delay between attempts grows up to 15 seconds", () => {
  expect([0, 1, 2, 3].map(wait)).toEqual([500, 1000, 2000, 4000]);
  expect(wait(30)).toBe(15_000);
});

test.each([
  ["viewer", "viewer", true],
  ["viewer", "manager", false],
  ["admin", "manager", true],
] as const)("a %s where a %s is needed: %s", (role, needed, allowed) =>
  expect(may(role, needed)).toBe(allowed),
);
