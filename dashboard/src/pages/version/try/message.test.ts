import { expect, test } from "vitest";
import type { Field } from "../../../api/schema";
import { blank, parseMessage, parseNumber, parseNumbers, withChoice, withField, write } from "./message";

const field = (more: Partial<Field>): Field => ({
  name: "f",
  type: "string",
  repeated: false,
  map: false,
  optional: false,
  oneof: null,
  message: null,
  values: null,
  value_comments: {},
  comment: null,
  ...more,
});

test("fields keep their place, new ones come last, empty ones are removed", () => {
  const message = { a: 1, b: 2 };
  expect(Object.entries(withField(message, "a", 3))).toEqual([
    ["a", 3],
    ["b", 2],
  ]);
  expect(Object.keys(withField(message, "c", 3))).toEqual(["a", "b", "c"]);
  expect(withField(message, "a", undefined)).toEqual({ b: 2 });
  expect(message).toEqual({ a: 1, b: 2 });
});

test("a oneof has one field", () => {
  const group = [field({ name: "plate" }), field({ name: "vin" })];
  expect(withChoice({ year: 1, plate: "x" }, group, "vin", "")).toEqual({ year: 1, vin: "" });
  expect(withChoice({ year: 1, plate: "x" }, group, null, undefined)).toEqual({ year: 1 });
});

test.each([
  ["integer", "12", { ok: true, value: 12 }],
  ["integer", "1.5", { ok: false, error: "“1.5” is not a whole number" }],
  ["int64", "9007199254740993", { ok: true, value: "9007199254740993" }],
  ["int64", "1e3", { ok: false, error: "“1e3” is not a whole number" }],
  ["number", "NaN", { ok: true, value: "NaN" }],
  ["number", "", { ok: false, error: "“” is not a number" }],
] as const)("a %s from “%s”", (type, text, parsed) => expect(parseNumber(text, type)).toEqual(parsed));

test("numbers with any separators", () => {
  expect(parseNumbers("[1, 2\n 3;4]", "integer")).toEqual({ ok: true, value: [1, 2, 3, 4] });
  expect(parseNumbers("1 x", "integer").ok).toBe(false);
});

test("invalid messages", () => {
  expect(parseMessage("")).toEqual({ ok: true, value: {} });
  expect(parseMessage("[1]").ok).toBe(false);
  expect(parseMessage("{").ok).toBe(false);
});

test.each([
  [field({ repeated: true }), []],
  [field({ map: true }), {}],
  [field({ type: "int64" }), "0"],
  [field({ type: "enum", values: ["A", "B"] }), "A"],
  [field({ type: "message", message: "m" }), {}],
])("blank %o", (of, value) => expect(blank(of)).toEqual(value));

test("written values round-trip", () => {
  const value = {
    a: [1, 2],
    pixels: Array.from({ length: 64 }, (_, i) => i),
    b: { c: [{ d: null }], e: {} },
  };
  expect(JSON.parse(write(value))).toEqual(value);
  expect(write({ a: [1, 2] })).toBe('{\n  "a": [1, 2]\n}');
  expect(
    write(value)
      .split("\n")
      .filter((line) => /^ {4}\d/.test(line)),
  ).toHaveLength(8);
});
