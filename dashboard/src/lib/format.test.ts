import { expect, test } from "vitest";
import * as format from "./format";

test.each([
  [0, "0"],
  [999, "999"],
  [1284, "1,284"],
  [12_400, "12.4k"],
  [1_284_310, "1.3M"],
])("count %s", (value, text) => expect(format.count(value)).toBe(text));

test.each([
  [0, "0"],
  [0.001, "<0.01"],
  [0.25, "0.25"],
  [3.14, "3.1"],
  [148.4, "148"],
])("rate %s", (value, text) => expect(format.rate(value)).toBe(text));

test.each([
  [null, "–"],
  [0.214, "0.21 ms"],
  [3.14, "3.1 ms"],
  [34.4, "34 ms"],
  [1400, "1.4 s"],
  [125_000, "2 min 5 s"],
  [120_000, "2 min"],
])("duration %s", (value, text) => expect(format.duration(value)).toBe(text));

test.each([
  [0, "just now"],
  [9_000, "9 s ago"],
  [5 * 60_000, "5 min ago"],
  [26 * 3_600_000, "1 d ago"],
  [-3 * 86_400_000, "in 3 d"],
  [800 * 86_400_000, "2 y ago"],
])("ago %s", (age, text) => expect(format.ago(1e12 - age, 1e12)).toBe(text));

test.each([
  [0, "0"],
  [0.9982, "0.998"],
  [0.0042, "0.0042"],
  [12.34, "12.3"],
  [123.4, "123"],
  [0.00004, "4.0e-5"],
])("number %s", (value, text) => expect(format.number(value)).toBe(text));

test.each([
  [[0.29, 0.67, 1.6], "0.29 / 0.67 / 1.6 ms"],
  [[900, 1500], "900 ms / 1.5 s"],
  [[null, null], "– / –"],
])("durations %s", (values, text) => expect(format.durations(values)).toBe(text));

test("a time on another day has its date", () => {
  const now = new Date(2026, 0, 31, 12);
  expect(format.shortMoment(new Date(2026, 0, 31, 9, 5, 1, 7).toISOString(), now)).toBe("09:05:01.007");
  expect(format.shortMoment(new Date(2026, 0, 30, 9, 5).toISOString(), now)).toBe("01-30 09:05:00.000");
  expect(format.shortMoment(new Date(2025, 11, 31, 9, 5).toISOString(), now)).toBe("2025-12-31 09:05:00.000");
});
