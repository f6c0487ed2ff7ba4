/** A streamed answer as far as it has come. Pure. */

import type { ServerEvent } from "../../../api/call";
import type { CallResult } from "../../../api/schema";

/** How a call ended. */
export type Ended = Omit<CallResult, "answer">;

/** A message, in JSON, and its number, from 1. */
export interface StreamedMessage {
  number: number;
  text: string;
}

export interface Streamed {
  /** The request's id. */
  request: string | null;
  /** How many messages came. */
  count: number;
  /** The latest of them. */
  latest: StreamedMessage[];
  /** The status at the end. */
  ended: Ended | null;
}

/** Longer lists are slow to show. */
export const MOST = 500;

export const NOTHING: Streamed = { request: null, count: 0, latest: [], ended: null };

/** The answer after an event, `elapsed_ms` after the call began. */
export function follow(answer: Streamed, { name, data }: ServerEvent, elapsed_ms: number): Streamed {
  switch (name) {
    case "request":
      return { ...answer, request: JSON.parse(data) as string };
    case "message": {
      const number = answer.count + 1;
      return { ...answer, count: number, latest: [...answer.latest, { number, text: data }].slice(-MOST) };
    }
    case "status":
      return { ...answer, ended: JSON.parse(data) as Ended };
    case "end":
      return stopped(answer, "CANCELLED", (JSON.parse(data) as { reason: string }).reason, elapsed_ms);
    default:
      return answer;
  }
}

/** The answer when nothing more comes, although the status has not come. */
export function stopped(answer: Streamed, code: string, message: string, elapsed_ms: number): Streamed {
  if (answer.ended) return answer;
  return { ...answer, ended: { ok: false, code, message, elapsed_ms, request: answer.request } };
}
