/** Formats numbers, sizes and times for people. */

/** A count: `1,284`, `12.4k`, `1.3M`. */
export function count(value: number): string {
  if (Math.abs(value) >= 1e6) return `${trim(value / 1e6)}M`;
  if (Math.abs(value) >= 1e4) return `${trim(value / 1e3)}k`;
  return value.toLocaleString("en", { maximumFractionDigits: 0 });
}

/** A rate per second. */
export function rate(value: number): string {
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  return value >= 10 ? count(Math.round(value)) : trim(value, value < 1 ? 2 : 1);
}

/** A number in a chart or a table: at most four digits. */
export function number(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e4) return count(value);
  if (size >= 100 || value === 0) return trim(value, 0);
  if (size >= 10) return trim(value, 1);
  if (size >= 1) return trim(value, 2);
  if (size >= 0.01) return trim(value, 3);
  if (size >= 0.001) return trim(value, 4);
  return value.toExponential(1);
}

/** A duration from milliseconds: `0.21 ms`, `34 ms`, `1.4 s`, `2 min 5 s`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${trim(ms / 1000, ms < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds % 60 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${seconds / 60} min`;
}

/** Related durations in one unit: `0.29 / 0.67 / 1.6 ms`. */
export function durations(all: readonly (number | null)[]): string {
  const texts = all.map(duration);
  const unit = texts[0]?.split(" ")[1];
  const same =
    unit !== undefined && texts.every((text) => text.split(" ").length === 2 && text.endsWith(` ${unit}`));
  return same ? `${texts.map((text) => text.split(" ")[0]).join(" / ")} ${unit}` : texts.join(" / ");
}

/** A size: `512 B`, `61.4 kB`. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${trim(value / 1e3)} kB`;
  if (value < 1e9) return `${trim(value / 1e6)} MB`;
  return `${trim(value / 1e9)} GB`;
}

/** A share from 0 to 1: `97.0 %`. */
export function percent(value: number | null, digits = 1): string {
  return value === null ? "–" : `${(value * 100).toFixed(digits)} %`;
}

const UNITS: [number, string, string][] = [
  [60, "second", "s"],
  [60, "minute", "min"],
  [24, "hour", "h"],
  [30, "day", "d"],
  [12, "month", "mo"],
  [Number.POSITIVE_INFINITY, "year", "y"],
];

/** A relative time: `just now`, `5 min ago`, `in 3 d`. */
export function ago(time: number, now: number): string {
  const ahead = time > now;
  let amount = Math.abs(now - time) / 1000;
  if (amount < 5) return "just now";
  for (const [size, , short] of UNITS) {
    if (Math.floor(amount) < size) {
      const text = `${Math.floor(amount)} ${short}`;
      return ahead ? `in ${text}` : `${text} ago`;
    }
    amount /= size;
  }
  return "";
}

/** A length of time in the largest unit that divides it: `5 min`, `1 h`, `90 s`. */
export function span(seconds: number): string {
  if (seconds % 86_400 === 0) return `${seconds / 86_400} d`;
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  if (seconds % 60 === 0) return `${seconds / 60} min`;
  return `${seconds} s`;
}

const two = (value: number) => String(value).padStart(2, "0");

/** A time to the second in the local zone: `2026-01-31 12:00:00`. */
export function moment(time: string): string {
  const date = new Date(time);
  return `${day(date)} ${clock(date)}`;
}

/** A time to the millisecond, with the date unless it is today. */
export function shortMoment(time: string, now = new Date()): string {
  const date = new Date(time);
  const today = day(date) === day(now);
  return `${today ? "" : `${day(date).slice(date.getFullYear() === now.getFullYear() ? 5 : 0)} `}${clockWithMilliseconds(time)}`;
}

/** A time to the millisecond without the date, for log lines. */
export function clockWithMilliseconds(time: string): string {
  const date = new Date(time);
  return `${clock(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

export function day(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function clock(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function trim(value: number, digits = 1): string {
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** `1 node`, `3 nodes`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}
