import { expect, test } from "vitest";
import type { Window, Windows } from "../api/schema";
import { align } from "./align";

const at = (second: number, mean: number, count = 1): Window => ({
  start: `2026-01-01T00:00:${String(second).padStart(2, "0")}.000000Z`,
  count,
  sum: mean * count,
  mean,
  min: mean,
  max: mean,
  p50: mean,
  p95: mean,
  p99: mean,
});

const windows = (...series: Windows["series"]): Windows => ({
  measurement: "m",
  field: "f",
  every_seconds: 10,
  series,
});

test("missing means are gaps, and missing counts are zero", () => {
  const data = windows({ tags: {}, windows: [at(0, 5), at(20, 7)] });
  expect(align(data, "mean", []).lines).toEqual([{ label: "f", values: [5, null, 7] }]);
  expect(align(data, "count", []).lines[0]?.values).toEqual([1, 0, 1]);
});

test("counts are whole numbers, means never are", () => {
  const whole = windows({ tags: {}, windows: [at(0, 1), at(20, 2)] });
  const parts = windows({ tags: {}, windows: [at(0, 0.5), at(20, 2)] });
  expect(align(whole, "count", []).whole).toBe(true);
  expect(align(parts, "count", []).whole).toBe(true);
  expect(align(whole, "sum", []).whole).toBe(true);
  expect(align(parts, "sum", []).whole).toBe(false);
  expect(align(whole, "mean", []).whole).toBe(false);
});

test("series share an axis and are named by their tags, in order", () => {
  const { times, lines } = align(
    windows({ tags: { node: "n10" }, windows: [at(10, 2)] }, { tags: { node: "n9" }, windows: [at(0, 1)] }),
    "mean",
    ["node"],
  );
  expect(times.length).toBe(2);
  expect(lines).toEqual([
    { label: "n9", values: [1, null] },
    { label: "n10", values: [null, 2] },
  ]);
});

test("only the busiest ten series are shown", () => {
  const many = Array.from({ length: 12 }, (_, i) => ({
    tags: { node: `n${i}` },
    windows: [at(0, 1, i + 1)],
  }));
  const { lines, left } = align(windows(...many), "mean", ["node"]);
  expect(left).toBe(2);
  expect(lines.map(({ label }) => label)).not.toContain("n0");
});

test("no series", () => {
  expect(align(windows(), "mean", [])).toEqual({ times: [], lines: [], whole: false, left: 0 });
});
