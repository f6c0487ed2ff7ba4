/**
 * A chart over time, drawn by uPlot: a legend with values, zoom by dragging, and a table as an alternative.
 */

import "uplot/dist/uPlot.min.css";
import "./chart.css";

import { useEffect, useRef, useState } from "react";
import Plot from "uplot";
import { moment, number } from "../lib/format";
import { useDark } from "../ui/theme";
import type { Line } from "./align";

interface Props {
  title: string;
  times: number[];
  lines: Line[];
  unit?: string | undefined;
  height?: number;
  /** A range that the axis of values must include, such as 0 to 1. */
  bounds?: [number, number];
  bars?: boolean;
  /** Counts have no fractions: the axis of values has whole steps. */
  whole?: boolean;
  format?: (value: number) => string;
  /** Charts with the same name share a cursor. */
  sync?: string;
  table?: boolean;
  /** The range of the time axis in seconds; the default is that of the data. */
  from?: number;
  to?: number;
  onZoom?: (from: number, to: number) => void;
}

/** Resolves CSS variables, since a canvas needs actual colours. */
function resolved(host: HTMLElement, names: string[]): string[] {
  const probe = document.createElement("span");
  host.append(probe);
  const colours = names.map((name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return colours;
}

const two = (value: number) => String(value).padStart(2, "0");

/** A label of the time axis: the date at midnight, seconds if labels are closer than a minute. */
function timeText(tick: number, step: number): string {
  const date = new Date(tick * 1000);
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()];
  if (step >= 86_400 || hours + minutes + seconds === 0)
    return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${two(hours)}:${two(minutes)}${step < 60 ? `:${two(seconds)}` : ""}`;
}

/** Points without neighbours, which a line would not show. */
function alone(values: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  for (let i = 0; i < values.length; i += 1) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
  }
  return found;
}

const WHOLE_STEPS = Array.from({ length: 12 }, (_, i) => [1, 2, 5].map((step) => step * 10 ** i)).flat();

export function Chart({
  title,
  times,
  lines,
  unit,
  height = 200,
  bounds,
  bars,
  whole,
  format = number,
  sync,
  table,
  from,
  to,
  onZoom,
}: Props) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const latest = useRef({ onZoom, from, to });
  latest.current = { onZoom, from, to };
  const [at, setAt] = useState<number | null>(null);
  const dark = useDark();
  const names = lines.map(({ label }) => label).join("\n");

  // biome-ignore lint/correctness/useExhaustiveDependencies: new data does not need a new chart
  useEffect(() => {
    const element = host.current;
    if (!element || table) return;
    const [text = "", grid = "", ...colours] = resolved(element, [
      "--muted",
      "--line",
      ...lines.map((_, i) => `--series-${(i % 10) + 1}`),
    ]);
    const axis: Plot.Axis = {
      stroke: text,
      font: `11px ${getComputedStyle(element).fontFamily}`,
      grid: { stroke: grid, width: 1 },
      ticks: { stroke: grid, width: 1, size: 4 },
    };
    const paths = bars ? Plot.paths.bars?.({ size: [0.8, 40] }) : undefined;
    const options: Plot.Options = {
      width: element.clientWidth,
      height,
      legend: { show: false },
      padding: [8, 22, 0, 0],
      cursor: {
        points: { size: 7 },
        drag: { x: true, y: false, setScale: false },
        ...(sync ? { sync: { key: sync, setSeries: false } } : {}),
      },
      scales: {
        x: {
          time: true,
          // The first window may start before the requested time.
          range: (_, low, high) => [
            Math.min(latest.current.from ?? Number.POSITIVE_INFINITY, low ?? Number.POSITIVE_INFINITY),
            Math.max(latest.current.to ?? 0, high ?? 0),
          ],
        },
        y: { range: (_, low, high) => reach(low, high, bounds) },
      },
      axes: [
        {
          ...axis,
          space: 56,
          size: 26,
          gap: 3,
          values: (_, ticks, __, ___, step) => ticks.map((tick) => timeText(tick, step)),
        },
        {
          ...axis,
          size: (_, values) => 18 + Math.max(...(values ?? []).map((value) => value.length), 1) * 6.4,
          values: (_, ticks) => ticks.map((tick) => format(tick)),
          space: 34,
          gap: 4,
          ...(whole ? { incrs: WHOLE_STEPS } : {}),
        },
      ],
      series: [
        {},
        ...lines.map((line, i): Plot.Series => {
          const colour = colours[i] ?? text;
          return {
            label: line.label,
            stroke: colour,
            width: bars ? 0 : 1.6,
            ...(bars ? { fill: colour } : {}),
            ...(paths ? { paths } : {}),
            points: bars
              ? { show: false }
              : { show: true, size: 5, fill: colour, filter: (u, series) => alone(u.data[series] ?? []) },
          };
        }),
      ],
      hooks: {
        setCursor: [(u) => setAt(u.cursor.idx ?? null)],
        setSelect: [
          (u) => {
            const { left, width } = u.select;
            if (width < 4) return;
            latest.current.onZoom?.(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    };
    const made = new Plot(options, [times, ...lines.map(({ values }) => values)], element);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0 && element.clientWidth !== made.width)
        made.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current = null;
      made.destroy();
    };
  }, [names, dark, height, bars, whole, sync, table, bounds?.[0], bounds?.[1]]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new range is a new axis for the same data
  useEffect(() => {
    plot.current?.setData([times, ...lines.map(({ values }) => values)]);
  }, [times, lines, from, to]);

  const shown = at !== null && at < times.length ? at : null;
  const time = shown === null ? null : times[shown];
  const withUnit = (value: number | null | undefined) =>
    value === null || value === undefined ? "–" : `${format(value)}${unit ? ` ${unit}` : ""}`;
  if (table) return <Values {...{ title, times, lines, withUnit }} />;
  return (
    <figure className="chart">
      <div ref={host} style={{ height }} role="img" aria-label={`${title}: ${summary(lines, withUnit)}`} />
      <figcaption aria-hidden>
        <ul>
          {lines.map((line, i) => (
            <li key={line.label}>
              <span className="swatch" style={{ background: `var(--series-${(i % 10) + 1})` }} />
              {line.label}
              <b className="number">
                {withUnit(shown === null ? latestOf(line.values) : line.values[shown])}
              </b>
            </li>
          ))}
        </ul>
        <span className="muted number when">
          {time ? moment(new Date(time * 1000).toISOString()) : "latest"}
        </span>
      </figcaption>
    </figure>
  );
}

function latestOf(values: (number | null)[]): number | null {
  return values.findLast((value) => value !== null) ?? null;
}

function reach(low: number | null, high: number | null, bounds?: [number, number]): [number, number] {
  const [least, most] = [
    Math.min(low ?? 0, bounds?.[0] ?? Number.POSITIVE_INFINITY),
    Math.max(high ?? 1, bounds?.[1] ?? Number.NEGATIVE_INFINITY),
  ];
  if (most === 0 && least === 0) return [0, 1];
  // Start at zero, unless the values are so far from it that their differences would vanish.
  const floor = least >= 0 && least < most * 0.6 ? 0 : least;
  const room = (most - floor || Math.abs(most) || 1) * 0.06;
  return [floor === 0 || bounds ? floor : floor - room, bounds && most === bounds[1] ? most : most + room];
}

/** Describes a chart for screen readers. */
function summary(lines: Line[], withUnit: (value: number | null) => string): string {
  if (lines.length === 0) return "no data";
  return lines
    .map(({ label, values }) => {
      const known = values.filter((value) => value !== null);
      if (known.length === 0) return `${label} without values`;
      const least = known.reduce((a, b) => Math.min(a, b));
      const most = known.reduce((a, b) => Math.max(a, b));
      return `${label} from ${withUnit(least)} to ${withUnit(most)}, at last ${withUnit(latestOf(values))}`;
    })
    .join("; ");
}

function Values({
  title,
  times,
  lines,
  withUnit,
}: Pick<Props, "title" | "times" | "lines"> & { withUnit: (value: number | null | undefined) => string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
    <section className="table chart-table" aria-label={`${title}, values`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {lines.map(({ label }) => (
              <th key={label} scope="col" className="end">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {times.toReversed().map((time, i) => (
            <tr key={time}>
              <td className="number">{moment(new Date(time * 1000).toISOString())}</td>
              {lines.map(({ label, values }) => (
                <td key={label} className="end">
                  {withUnit(values[times.length - 1 - i])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
