/** Where the hops of a request lie in time, as shares of the whole. Pure. */

import type { Hop, Request } from "../../api/schema";

export interface Share {
  left: number;
  width: number;
}

export interface Bar {
  hop: Hop;
  /** In percent of the whole. */
  wait: Share;
  /** Before the handler and after it: what krt needs to write the node's message and to read its answer. */
  serialisation: [Share, Share];
  handler: Share;
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
  const ends = hops.map((hop) => hop.start_ms + hop.handler_ms + hop.deserialise_ms);
  const whole = Math.max(elapsed_ms, ...ends, 0.001);
  const share = (ms: number) => (Math.max(0, ms) / whole) * 100;
  const bars = hops.map((hop) => ({
    hop,
    wait: {
      left: share(hop.start_ms - hop.serialise_ms - hop.waiting_ms),
      width: share(Math.min(hop.waiting_ms, hop.start_ms)),
    },
    serialisation: [
      {
        left: share(hop.start_ms - hop.serialise_ms),
        width: share(Math.min(hop.serialise_ms, hop.start_ms)),
      },
      { left: share(hop.start_ms + hop.handler_ms), width: share(hop.deserialise_ms) },
    ] as [Share, Share],
    handler: { left: share(hop.start_ms), width: share(hop.handler_ms) },
  }));
  const used = hops.reduce((sum, hop) => sum + hop.waiting_ms + hop.handler_ms + serialising(hop), 0);
  return { whole, bars, answer: share(elapsed_ms), between: Math.max(0, whole - used) };
}

/** Milliseconds that krt needed for the form of a hop's messages. */
export const serialising = (hop: Hop) => hop.serialise_ms + hop.deserialise_ms;

/** Round marks of an axis from 0 to `whole`: at most five. */
export function marks(whole: number): number[] {
  const rough = whole / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const found: number[] = [];
  for (let i = 0; i * step <= whole; i += 1) found.push(Number((i * step).toPrecision(12)));
  return found;
}
