import { expect, test } from "vitest";
import { every, parseRange, resolve } from "./range";

const params = (text: string) => new URLSearchParams(text);

test.each([
  ["", { kind: "preset", preset: "1h" }],
  ["range=7d", { kind: "preset", preset: "7d" }],
  ["range=toString", { kind: "preset", preset: "1h" }],
  ["range=6h&from=2026-01-01T00:00:00Z", { kind: "preset", preset: "6h" }],
  [
    "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
    { kind: "fixed", from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" },
  ],
  ["from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", { kind: "preset", preset: "1h" }],
  ["from=x&to=y", { kind: "preset", preset: "1h" }],
])("parse %s", (text, range) => expect(parseRange(params(text), "1h")).toEqual(range));

test("a preset ends at a full step", () => {
  const range = { kind: "preset", preset: "15m" } as const;
  expect(resolve(range, Date.parse("2026-01-01T00:00:03Z"))).toEqual({
    from: "2025-12-31T23:45:10.000Z",
    to: "2026-01-01T00:00:10.000Z",
  });
});

test.each([
  [3600, 300, 15],
  [86_400, 300, 300],
  [30 * 86_400, 300, 14_400],
])("%s seconds in %s windows", (length, wanted, step) => {
  const from = "2026-01-01T00:00:00.000Z";
  const to = new Date(Date.parse(from) + length * 1000).toISOString();
  expect(every({ from, to }, wanted)).toBe(step);
});
