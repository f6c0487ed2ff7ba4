/** Measurements and predictions of the mock, computed when asked for. */

import type {
  Measurement,
  Prediction,
  PredictionPage,
  PredictionSummary,
  Window,
  Windows,
} from "../src/api/schema";
import { random, stamp } from "./random.ts";
import { BORN, DAY, HOUR, versions, WORKFLOWS } from "./world.ts";

const DIGITS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

function hash(text: string): number {
  let value = 2166136261;
  for (const letter of text) value = Math.imul(value ^ letter.charCodeAt(0), 16777619);
  return value >>> 0;
}

function catalogue(runtime: string): Measurement[] {
  const flows = WORKFLOWS[runtime] ?? [];
  if (!versions.some((one) => one.runtime === runtime)) return [];
  const common = {
    version: versions.filter((one) => one.runtime === runtime).map((one) => one.name),
    workflow: flows.map((one) => one.name),
  };
  const base = { first: stamp(BORN - 30 * DAY), last: stamp(Date.now()), points: 1_284_310 };
  const node = [...new Set(flows.flatMap((one) => one.nodes))];
  const own: Measurement[] = [
    {
      ...base,
      name: "digit",
      fields: ["confidence"],
      tags: { ...common, node: ["output"], digit: DIGITS },
      automatic: false,
      points: 412_377,
    },
    {
      ...base,
      name: "evaluation",
      fields: ["confidence", "correct"],
      tags: { ...common, node: ["evaluation"], label: DIGITS },
      automatic: false,
      points: 80_412,
    },
  ];
  return [
    {
      ...base,
      name: "node_elapsed_time",
      fields: ["elapsed_ms", "waiting_ms"],
      tags: { ...common, node },
      automatic: true,
    },
    {
      ...base,
      name: "workflow_elapsed_time",
      fields: ["elapsed_ms"],
      tags: common,
      automatic: true,
      points: 492_789,
    },
    ...(runtime === "digits" ? own : []),
  ];
}

function level(measurement: string, field: string, tags: Record<string, string>): number {
  const slow = tags.node === "model" || tags.node === "forest";
  if (field === "elapsed_ms")
    return measurement === "workflow_elapsed_time"
      ? tags.workflow === "evaluate"
        ? 3.9
        : 3.1
      : slow
        ? 1.9
        : 0.35;
  if (field === "waiting_ms") return slow ? 0.4 : 0.12;
  if (field === "correct") return 0.97;
  return 0.9 + (hash(JSON.stringify(tags)) % 90) / 1000;
}

function window(start: number, seconds: number, middle: number, seed: number): Window {
  const next = random(seed ^ Math.floor(start / 1000));
  const day = 0.55 + 0.45 * Math.sin((start / DAY) * 2 * Math.PI - 1.5) ** 2;
  const count = Math.round(seconds * 2.4 * day * (0.7 + next() * 0.6));
  const bounded = middle > 0.85 && middle < 1;
  const mean = bounded
    ? Math.min(0.999, middle * (0.985 + next() * 0.02))
    : middle * (0.9 + next() * 0.25) * (next() < 0.01 ? 2.4 : 1);
  const spread = bounded ? 0.02 : mean;
  return {
    start: stamp(start),
    count,
    sum: mean * count,
    mean,
    min: Math.max(0, mean - spread * 0.8),
    max: bounded ? 1 : mean * (8 + next() * 14),
    p50: mean - spread * 0.08,
    p95: bounded ? 0.9995 : mean * (2 + next() * 0.5),
    p99: bounded ? 0.9999 : mean * (4 + next() * 2),
  };
}

function range(query: URLSearchParams, usual: number): [number, number] {
  const to = Date.parse(query.get("to") ?? "") || Date.now();
  return [Date.parse(query.get("from") ?? "") || to - usual, to];
}

/** Every combination of the tags' values. */
function groups(names: string[], tags: Record<string, string[]>): Record<string, string>[] {
  return names.reduce<Record<string, string>[]>(
    (sets, name) => sets.flatMap((set) => (tags[name] ?? []).map((value) => ({ ...set, [name]: value }))),
    [{}],
  );
}

function read(runtime: string, measurement: string, query: URLSearchParams): Windows {
  const field = query.get("field") ?? "";
  const [from, to] = range(query, HOUR);
  const every = Number(query.get("every_seconds")) || Math.max(1, Math.round((to - from) / 1000 / 300));
  const found = catalogue(runtime).find((one) => one.name === measurement);
  const fixed = Object.fromEntries(query.getAll("tag").map((tag) => tag.split(/:(.*)/s).slice(0, 2)));
  const first = Math.floor(from / 1000 / every) * every * 1000;
  const series = found
    ? groups(query.getAll("group_by"), {
        ...found.tags,
        version: versions
          .filter((one) => one.runtime === runtime && one.state === "PUBLISHED")
          .map((one) => one.name),
      })
        .filter((tags) =>
          Object.entries(fixed).every(([name, value]) => !(name in tags) || tags[name] === value),
        )
        .map((tags) => {
          const all = { ...fixed, ...tags };
          const seed = hash(JSON.stringify([measurement, field, all]));
          const windows = [];
          for (let start = first; start < to; start += every * 1000)
            windows.push(window(start, every, level(measurement, field, all), seed));
          return { tags, windows };
        })
    : [];
  return { measurement, field, every_seconds: every, series };
}

export const windows = { catalogue, read };

function confusion(runtime: string, scale: number): number[][] {
  const next = random(hash(runtime));
  const twins = new Set(["3-8", "8-3", "1-7", "7-1", "4-9", "9-4", "5-3", "3-5", "8-1"]);
  return DIGITS.map((truth) =>
    DIGITS.map((predicted) => {
      if (truth === predicted) return Math.round((90 + next() * 40) * scale);
      return twins.has(`${truth}-${predicted}`)
        ? Math.round((1 + next() * 4) * scale)
        : next() < 0.08
          ? Math.round(scale)
          : 0;
    }),
  );
}

function summarise(runtime: string, query: URLSearchParams): PredictionSummary {
  const [from, to] = range(query, DAY);
  const every = Number(query.get("every_seconds")) || Math.max(1, Math.round((to - from) / 1000 / 60));
  const counts = runtime === "digits" ? confusion(runtime, Math.max(1, (to - from) / DAY)) : [];
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  const classes = counts.map((row, i) => {
    const support = sum(row);
    const predicted = sum(counts.map((other) => other[i] ?? 0));
    const correct = row[i] ?? 0;
    const precision = predicted ? correct / predicted : null;
    const recall = support ? correct / support : null;
    const f1 = precision && recall ? (2 * precision * recall) / (precision + recall) : null;
    return { label: DIGITS[i] ?? "", support, predicted, correct, precision, recall, f1 };
  });
  const predictions = sum(classes.map((one) => one.support));
  const correct = sum(classes.map((one) => one.correct));
  const over = [];
  const next = random(5);
  if (predictions)
    for (let start = Math.floor(from / 1000 / every) * every * 1000; start < to; start += every * 1000) {
      const all = Math.round((predictions / ((to - from) / 1000 / every)) * (0.6 + next() * 0.8));
      const right = Math.round(all * (0.94 + next() * 0.05));
      over.push({
        start: stamp(start),
        predictions: all,
        correct: right,
        accuracy: all ? right / all : null,
        missing_values: next() < 0.3 ? Math.round(next() * 4) : 0,
        new_labels: next() < 0.15 ? 1 : 0,
      });
    }
  return {
    predictions,
    correct,
    accuracy: predictions ? correct / predictions : null,
    missing_values: sum(over.map((one) => one.missing_values)),
    new_labels: sum(over.map((one) => one.new_labels)),
    pending: predictions ? 3 : 0,
    unmatched_updates: predictions ? 1 : 0,
    first: predictions ? stamp(from) : null,
    last: predictions ? stamp(to) : null,
    classes,
    confusion: { labels: predictions ? DIGITS : [], counts },
    every_seconds: every,
    over_time: over,
    truncated: false,
  };
}

function list(runtime: string, query: URLSearchParams): PredictionPage {
  if (runtime !== "digits") return { predictions: [], next: null };
  const next = random(11);
  const all: Prediction[] = Array.from({ length: 800 }, (_, i) => {
    const truth = DIGITS[Math.floor(next() * 10)] ?? "0";
    const wrong = next() < 0.04;
    const error = next() < 0.015 ? "missing_values" : next() < 0.008 ? "new_labels" : null;
    const pending = !error && i < 3;
    return {
      id: `p${i}`,
      request: `r${i}`,
      time: stamp(BORN - i * 95_000),
      version: "digits-v4",
      predicted: error ? "" : wrong ? (DIGITS[Math.floor(next() * 10)] ?? "1") : truth,
      true_value: error || pending ? "" : truth,
      updated: !error && i === 5 ? stamp(BORN) : null,
      error,
      extra: wrong ? { confidence: Math.round(next() * 1000) / 1000 } : null,
    };
  });
  const is = (name: string, value: string | null) => !query.get(name) || query.get(name) === value;
  const found = all.filter(
    (one) => is("predicted", one.predicted) && is("true_value", one.true_value) && is("error", one.error),
  );
  const start = Number(query.get("cursor") ?? 0);
  const limit = Number(query.get("limit") ?? 100);
  return {
    predictions: found.slice(start, start + limit),
    next: start + limit < found.length ? String(start + limit) : null,
  };
}

export const summary = { read: summarise, list };
