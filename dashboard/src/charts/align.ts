/**
 * Turns windows of time into the columns of a chart: one axis for all series, gaps where data is missing.
 * Pure.
 */

import type { Chart, WindowSeries, Windows } from "../api/schema";

export type Aggregation = Chart["aggregation"];

export const AGGREGATIONS: Record<Aggregation, string> = {
  mean: "Mean",
  p50: "Median",
  p95: "95th percentile",
  p99: "99th percentile",
  min: "Least",
  max: "Most",
  sum: "Sum",
  count: "Number of points",
};

export interface Line {
  label: string;
  values: (number | null)[];
}

export interface Aligned {
  /** Seconds since the Unix epoch. */
  times: number[];
  lines: Line[];
  /** Whether all values are whole by nature, such as counts. */
  whole: boolean;
  /** The number of series left out. */
  left: number;
}

const MOST_LINES = 10;
const MOST_STEPS = 5000;

function label({ tags }: WindowSeries, groupBy: readonly string[], otherwise: string): string {
  const values = groupBy.map((name) => tags[name] ?? "–");
  return values.length ? values.join(" · ") : otherwise;
}

const total = ({ windows }: WindowSeries) => windows.reduce((sum, { count }) => sum + count, 0);

const collator = new Intl.Collator("en", { numeric: true });

export function align(
  { series, every_seconds: every, field }: Windows,
  aggregation: Aggregation,
  groupBy: readonly string[],
): Aligned {
  // Keep the busiest series, sorted by name so that their colours are stable.
  const kept = [...series]
    .sort((a, b) => total(b) - total(a))
    .slice(0, MOST_LINES)
    .map((one) => ({ ...one, label: label(one, groupBy, field) }))
    .sort((a, b) => collator.compare(a.label, b.label));
  const starts = kept.flatMap(({ windows }) => windows.map(({ start }) => Date.parse(start) / 1000));
  if (starts.length === 0) return { times: [], lines: [], whole: false, left: 0 };

  const [first, last] = [starts.reduce((a, b) => Math.min(a, b)), starts.reduce((a, b) => Math.max(a, b))];
  const steps = Math.round((last - first) / every) + 1;
  const times =
    steps <= MOST_STEPS
      ? Array.from({ length: steps }, (_, i) => first + i * every)
      : [...new Set(starts)].sort((a, b) => a - b);
  const counted = aggregation === "count" || aggregation === "sum";
  const nothing = counted ? 0 : null;
  const lines = kept.map(({ label, windows }) => {
    const values = new Map(
      windows.map((one) => [Date.parse(one.start) / 1000, one.count ? one[aggregation] : nothing]),
    );
    return { label, values: times.map((time) => values.get(time) ?? nothing) };
  });
  const whole = counted && lines.every(({ values }) => values.every(Number.isInteger));
  return { times, lines, whole, left: series.length - kept.length };
}
