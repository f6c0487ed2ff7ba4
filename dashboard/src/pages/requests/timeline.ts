/** Where the hops of a request lie in time, as shares of the whole. Pure. */

import type { Hop, Request } from "../../api/schema";

export interface Bar {
  hop: Hop;
  /** In percent of the whole. */
  wait: { left: number; width: number };
  handler: { left: number; width: number };
}

export interface Timeline {
  /** Milliseconds from the request's start to the last thing that happened. */
  whole: number;
  bars: Bar[];
  /** Where the answer went out, in percent. */
  answer: number;
  /** Milliseconds in which the request neither waited for a node nor was in a handler. */
  between: number;
}

export function timeline({ hops, elapsed_ms }: Pick<Request, "hops" | "elapsed_ms">): Timeline {
  const ends = hops.map(({ start_ms, handler_ms }) => start_ms + handler_ms);
  const whole = Math.max(elapsed_ms, ...ends, 0.001);
  const share = (ms: number) => (Math.max(0, ms) / whole) * 100;
  const bars = hops.map((hop) => ({
    hop,
    wait: {
      left: share(hop.start_ms - hop.waiting_ms),
      width: share(Math.min(hop.waiting_ms, hop.start_ms)),
    },
    handler: { left: share(hop.start_ms), width: share(hop.handler_ms) },
  }));
  const used = hops.reduce((sum, { waiting_ms, handler_ms }) => sum + waiting_ms + handler_ms, 0);
  return { whole, bars, answer: share(elapsed_ms), between: Math.max(0, whole - used) };
}

/** Round marks of an axis from 0 to `whole`: at most five. */
export function marks(whole: number): number[] {
  const rough = whole / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const found: number[] = [];
  for (let i = 0; i * step <= whole; i += 1) found.push(Number((i * step).toPrecision(12)));
  return found;
}
