/** A call whose answer is shown while it comes. */

import { useEffect, useRef, useState } from "react";
import { callLive } from "../../../api/call";
import type { Call } from "../../../api/schema";
import { type Ended, follow, NOTHING, type Streamed, stopped } from "./streamed";

const cancelled = (error: unknown) => error instanceof DOMException && error.name === "AbortError";

export function useStream(path: { runtime: string; version: string }): {
  answer: Streamed | null;
  call: (body: Call) => Promise<Ended>;
  cancel: () => void;
  clear: () => void;
} {
  const [answer, setAnswer] = useState<Streamed | null>(null);
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  async function call(body: Call): Promise<Ended> {
    const controller = new AbortController();
    running.current = controller;
    const begun = performance.now();
    const elapsed = () => performance.now() - begun;
    let now = NOTHING;
    // Messages may come faster than the page can be drawn.
    let frame = 0;
    const show = () => {
      frame = 0;
      setAnswer(now);
    };
    show();
    try {
      for await (const event of callLive(path, body, controller.signal)) {
        now = follow(now, event, elapsed());
        frame ||= requestAnimationFrame(show);
      }
      now = stopped(now, "UNKNOWN", "the connection ended before the status", elapsed());
    } catch (error) {
      if (!cancelled(error)) throw error;
      now = stopped(now, "CANCELLED", "the call was cancelled here", elapsed());
    } finally {
      cancelAnimationFrame(frame);
      show();
    }
    return now.ended as Ended;
  }

  return { answer, call, cancel: () => running.current?.abort(), clear: () => setAnswer(null) };
}
