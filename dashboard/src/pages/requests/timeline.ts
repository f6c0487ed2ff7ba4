/** The position of a request's hops in time, as shares of the whole. Pure. */

import type { Hop, Request } from "../../api/schema";

export interface Share {
  left: number;
  width: number;
}

export interface Bar {
  hop: Hop;
  /** Percent of the whole. */
  wait: Share;
  /** Before and after the handler: the time to encode the node's message and to decode its answer. */
  serialisation: [Share, Share];
  handler: Share;
}

export interface Timeline {
  /** Milliseconds from the request's start to its last event. */
  whole: number;
  bars: Bar[];
  /** The time of the first message of a stream, in percent. */
  first: number | null;
  /** The time of the answer, in percent. */
  answer: number;
  /** Milliseconds outside of queues, handlers and encoding. */
  between: number;
}

export function timeline({
  hops,
  elapsed_ms,
  stream,
}: Pick<Request, "hops" | "elapsed_ms" | "stream">): Timeline {
  const ends = hops.map((hop) => hop.start_ms + hop.handler_ms + hop.decode_ms);
  const whole = Math.max(elapsed_ms, ...ends, 0.001);
  const share = (ms: number) => (Math.max(0, ms) / whole) * 100;
  const bars = hops.map((hop) => ({
    hop,
    wait: {
      left: share(hop.start_ms - hop.encode_ms - hop.waiting_ms),
      width: share(Math.min(hop.waiting_ms, hop.start_ms)),
    },
    serialisation: [
      {
        left: share(hop.start_ms - hop.encode_ms),
        width: share(Math.min(hop.encode_ms, hop.start_ms)),
      },
      { left: share(hop.start_ms + hop.handler_ms), width: share(hop.decode_ms) },
    ] as [Share, Share],
    handler: { left: share(hop.start_ms), width: share(hop.handler_ms) },
  }));
  const used = hops.reduce((sum, hop) => sum + hop.waiting_ms + hop.handler_ms + coding(hop), 0);
  const first = stream?.first_ms === undefined || stream.first_ms === null ? null : share(stream.first_ms);
  return { whole, bars, first, answer: share(elapsed_ms), between: Math.max(0, whole - used) };
}

/** Milliseconds that krt needed for the form of a hop's messages. */
export const coding = (hop: Hop) => hop.encode_ms + hop.decode_ms;

/** Round ticks of an axis from 0 to `whole`: at most five. */
export function marks(whole: number): number[] {
  const rough = whole / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const found: number[] = [];
  for (let i = 0; i * step <= whole; i += 1) found.push(Number((i * step).toPrecision(12)));
  return found;
}
