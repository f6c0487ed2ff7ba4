/** A message as proto3 JSON, edited by field. Pure: all functions return new values. */

import type { Field } from "../../../api/schema";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Fields = { [name: string]: Json };

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Sets a field of a message; `undefined` removes it, as proto3 leaves out unset fields. */
export function withField(message: Fields, name: string, value: Json | undefined): Fields {
  const { [name]: _, ...rest } = message;
  if (value === undefined) return rest;
  // An existing field keeps its position, so that the text does not jump while the user types.
  return name in message ? { ...message, [name]: value } : { ...rest, [name]: value };
}

/** Selects another field of a `oneof`, or none. */
export function withChoice(
  message: Fields,
  group: readonly Field[],
  name: string | null,
  value: Json | undefined,
): Fields {
  const cleared = group.reduce((rest, field) => withField(rest, field.name, undefined), message);
  return name === null ? cleared : withField(cleared, name, value);
}

/** The initial value of a field in the form. */
export function blank(field: Field): Json {
  if (field.map) return {};
  if (field.repeated) return [];
  return blankItem(field);
}

export function blankItem(field: Field): Json {
  switch (field.type) {
    case "bool":
      return false;
    case "number":
    case "integer":
      return 0;
    case "int64":
      return "0";
    case "enum":
      return field.values?.[0] ?? "";
    case "message":
    case "any":
      return {};
    default:
      return "";
  }
}

export type Parsed<T> = { ok: true; value: T } | { ok: false; error: string };

/** Parses a number; proto3 JSON writes 64-bit integers and non-finite numbers as strings. */
export function parseNumber(text: string, type: Field["type"]): Parsed<Json> {
  const trimmed = text.trim();
  if (type === "int64")
    return /^-?\d+$/.test(trimmed) ? { ok: true, value: trimmed } : wrong(text, "a whole number");
  if (type === "number" && ["NaN", "Infinity", "-Infinity"].includes(trimmed))
    return { ok: true, value: trimmed };
  const value = Number(trimmed);
  if (trimmed === "" || Number.isNaN(value)) return wrong(text, "a number");
  if (type === "integer" && !Number.isInteger(value)) return wrong(text, "a whole number");
  return { ok: true, value };
}

function wrong(text: string, kind: string): Parsed<never> {
  return { ok: false, error: `“${text.trim()}” is not ${kind}` };
}

/** Parses numbers separated by spaces, commas or line breaks. */
export function parseNumbers(text: string, type: Field["type"]): Parsed<Json[]> {
  const values: Json[] = [];
  for (const part of text.split(/[\s,;[\]]+/).filter(Boolean)) {
    const parsed = parseNumber(part, type);
    if (!parsed.ok) return parsed;
    values.push(parsed.value);
  }
  return { ok: true, value: values };
}

/** Parses the text of a message, or returns an error. */
export function parseMessage(text: string): Parsed<Fields> {
  try {
    const value: unknown = JSON.parse(text.trim() || "{}");
    return isFields(value) ? { ok: true, value } : { ok: false, error: "a message is an object: { … }" };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Formats JSON for people: a short list of plain values stays on one line. */
export function write(value: Json, indent = ""): string {
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    if (value.every((item) => typeof item !== "object" || item === null))
      return `[${wrapped(value, deeper, indent)}]`;
    return `[\n${value.map((item) => deeper + write(item, deeper)).join(",\n")}\n${indent}]`;
  }
  if (isFields(value)) {
    const fields = Object.entries(value);
    if (fields.length === 0) return "{}";
    return `{\n${fields.map(([name, item]) => `${deeper}${JSON.stringify(name)}: ${write(item, deeper)}`).join(",\n")}\n${indent}}`;
  }
  return JSON.stringify(value);
}

function wrapped(values: Json[], deeper: string, indent: string): string {
  const texts = values.map((value) => JSON.stringify(value));
  const line = texts.join(", ");
  if (line.length <= 60) return line;
  // Numbers are often an image: break lines at the side of the square.
  const side = Math.sqrt(texts.length);
  const square = Number.isInteger(side) && side <= 32 && texts.every((text) => text.length <= 3);
  const rows: string[] = [];
  let row: string[] = [];
  for (const text of texts) {
    if (square ? row.length === side : row.join(", ").length + text.length > 66) {
      rows.push(row.join(", "));
      row = [];
    }
    row.push(text);
  }
  rows.push(row.join(", "));
  return `\n${rows.map((one) => deeper + one).join(",\n")}\n${indent}`;
}
