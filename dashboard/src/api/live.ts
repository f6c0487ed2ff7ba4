/**
 * Server-sent events with reconnection: a lost stream reopens with growing delays. A hidden tab keeps no
 * stream open, because a browser has only six connections to a server.
 */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { BASE } from "./client";
import { me } from "./queries";

export type Connection = "connecting" | "open" | "lost" | "paused";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/** The delay before the attempt after `failures` failed ones, in milliseconds. */
export function wait(failures: number): number {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
}

interface Handlers {
  /** The handlers by event name. */
  events: Record<string, (data: unknown) => void>;
  /** The server ended the stream because the client's sign-in ended. */
  onEnd?: () => void;
  /** The stream reopened after a loss or a pause: the client may have missed events. */
  onResume?: () => void;
  onConnection?: (connection: Connection) => void;
}

/** Opens a stream and returns a function that closes it. */
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
    source.onerror = again;
    source.addEventListener("end", () => {
      again();
      handlers.onEnd?.();
    });
    for (const [name, handle] of Object.entries(handlers.events)) {
      source.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data)));
    }
  }

  /** Reconnects without the browser: browsers give up for good after a response that is not a stream. */
  function again() {
    source?.close();
    say("lost");
    timer = setTimeout(open, wait(failures));
    failures += 1;
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

/** Listens while the component is mounted and `path` is not null. */
export function useLive(path: string | null, events: Handlers["events"], onResume?: () => void): Connection {
  const [connection, setConnection] = useState<Connection>("connecting");
  const queries = useQueryClient();
  const latest = useRef({ events, onResume });
  latest.current = { events, onResume };

  useEffect(() => {
    if (path === null) return;
    const names = Object.keys(latest.current.events);
    return listen(path, {
      events: Object.fromEntries(names.map((name) => [name, (data) => latest.current.events[name]?.(data)])),
      onResume: () => latest.current.onResume?.(),
      // The session may have ended: then the session guard asks for a sign-in.
      onEnd: () => void queries.invalidateQueries({ queryKey: me().queryKey }),
      onConnection: setConnection,
    });
  }, [path, queries]);

  return path === null ? "paused" : connection;
}
