/**
 * Server-sent events that last: a stream that ends is opened again, later each time, and none stays open in a
 * tab that nobody sees, because a browser has only six connections to a server.
 */

import { useEffect, useRef, useState } from "react";
import { BASE } from "./client";

export type Connection = "connecting" | "open" | "lost" | "paused";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/** How long to wait before the attempt after `failures` of them, in milliseconds. */
export function wait(failures: number): number {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
}

interface Handlers {
  /** By the event's name. */
  events: Record<string, (data: unknown) => void>;
  /** The stream is open again after it was lost or paused: something may have been missed. */
  onResume?: () => void;
  onConnection?: (connection: Connection) => void;
}

/** Opens a stream; the function that it returns closes it. */
export function listen(path: string, handlers: Handlers): () => void {
  let source: EventSource | null = null;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let before = false;

  const say = (connection: Connection) => handlers.onConnection?.(connection);

  function open() {
    clearTimeout(timer);
    source?.close();
    say("connecting");
    source = new EventSource(BASE + path);
    source.onopen = () => {
      failures = 0;
      say("open");
      if (before) handlers.onResume?.();
      before = true;
    };
    source.onerror = () => {
      // Closed and opened by ourselves: browsers give up for good after an answer that is no stream.
      source?.close();
      say("lost");
      timer = setTimeout(open, wait(failures));
      failures += 1;
    };
    for (const [name, handle] of Object.entries(handlers.events)) {
      source.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data)));
    }
  }

  function look() {
    if (document.visibilityState === "visible") {
      if (!source) open();
      return;
    }
    clearTimeout(timer);
    source?.close();
    source = null;
    say("paused");
  }

  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    clearTimeout(timer);
    source?.close();
  };
}

/** Listens while the component is there; `path` null means not now. */
export function useLive(path: string | null, events: Handlers["events"], onResume?: () => void): Connection {
  const [connection, setConnection] = useState<Connection>("connecting");
  const latest = useRef({ events, onResume });
  latest.current = { events, onResume };

  useEffect(() => {
    if (path === null) return;
    const names = Object.keys(latest.current.events);
    return listen(path, {
      events: Object.fromEntries(names.map((name) => [name, (data) => latest.current.events[name]?.(data)])),
      onResume: () => latest.current.onResume?.(),
      onConnection: setConnection,
    });
  }, [path]);

  return path === null ? "paused" : connection;
}
