/** A range of time in a URL: `range=6h`, or `from=…&to=…`. */

export const PRESETS = {
  "15m": ["Last 15 minutes", 15 * 60],
  "1h": ["Last hour", 3600],
  "6h": ["Last 6 hours", 6 * 3600],
  "24h": ["Last 24 hours", 86_400],
  "7d": ["Last 7 days", 7 * 86_400],
  "30d": ["Last 30 days", 30 * 86_400],
} as const;

export type Preset = keyof typeof PRESETS;

export type Range = { kind: "preset"; preset: Preset } | { kind: "fixed"; from: string; to: string };

export interface Resolved {
  from: string;
  to: string;
}

function isPreset(text: string | null): text is Preset {
  return text !== null && Object.hasOwn(PRESETS, text);
}

function isTime(text: string | null): text is string {
  return text !== null && !Number.isNaN(Date.parse(text));
}

/** Parses the range in a URL; an invalid one counts as missing. */
export function parseRange(params: URLSearchParams, usual: Preset): Range {
  const [from, to] = [params.get("from"), params.get("to")];
  if (isTime(from) && isTime(to) && Date.parse(from) < Date.parse(to)) return { kind: "fixed", from, to };
  const preset = params.get("range");
  return { kind: "preset", preset: isPreset(preset) ? preset : usual };
}

/** Resolves a range at `now`. A preset ends at a full step, so that repeated calls return equal times. */
export function resolve(range: Range, now: number, step = 10_000): Resolved {
  if (range.kind === "fixed") return { from: range.from, to: range.to };
  const to = Math.ceil(now / step) * step;
  return { from: iso(to - PRESETS[range.preset][1] * 1000), to: iso(to) };
}

export function seconds({ from, to }: Resolved): number {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

export function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 604_800,
];

/** The length of a window so that a range has about `wanted` windows. */
export function every(range: Resolved, wanted: number): number {
  const exact = seconds(range) / wanted;
  return STEPS.find((step) => step >= exact) ?? Math.ceil(exact);
}
