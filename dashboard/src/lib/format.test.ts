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
  [0.9982, "0.9982"],
  [12.34, "12.3"],
  [123.4, "123"],
  [0.00004, "4.0e-5"],
])("number %s", (value, text) => expect(format.number(value)).toBe(text));
