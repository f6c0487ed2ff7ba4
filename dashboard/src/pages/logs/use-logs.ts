/** Holds the lines of a search, loads older ones on request, and adds live ones. */

import { useCallback, useEffect, useRef, useState } from "react";
import { type Refused, refused } from "../../api/client";
import { type Connection, useLive } from "../../api/live";
import { type LogFilter, logPage, type Span } from "../../api/queries";
import type { Log } from "../../api/schema";
import { arrived, MOST, older } from "./lines";

const PAGE = 500;
/** Live lines appear at this interval in milliseconds, regardless of their number. */
const BEAT = 200;

interface Held {
  lines: readonly Log[];
  /** Live lines that arrived while the user read older ones. */
  waiting: readonly Log[];
  /** The cursor of the next older page; `null` if there is none. */
  next: string | null;
  dropped: boolean;
}

const NOTHING: Held = { lines: [], waiting: [], next: null, dropped: false };

export interface Logs {
  lines: readonly Log[];
  waiting: number;
  more: boolean;
  loading: boolean;
  error: Refused | null;
  connection: Connection;
  loadOlder: () => void;
  showWaiting: () => void;
  retry: () => void;
}

function tailPath(runtime: string, filter: LogFilter): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) if (value) query.set(name, value);
  return `/runtimes/${runtime}/logs/tail?${query}`;
}

export function useLogs(
  runtime: string,
  filter: LogFilter,
  span: Span,
  live: boolean,
  atTop: () => boolean,
): Logs {
  const [held, setHeld] = useState(NOTHING);
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState<Refused | null>(null);
  const [attempt, setAttempt] = useState(0);
  const key = JSON.stringify([runtime, filter, span]);
  // Drops responses to an outdated search.
  const asked = useRef(key);
  // Live lines that arrived before the first page of a search; null once the page is there.
  const early = useRef<Log[] | null>([]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` holds the filter, `attempt` repeats it
  useEffect(() => {
    asked.current = key;
    early.current = [];
    setLoading(true);
    setError(null);
    let current = true;
    logPage(runtime, { ...filter, ...span }, undefined, PAGE)
      .then(({ logs, next }) => {
        if (!current) return;
        setHeld({ ...NOTHING, lines: arrived(logs, early.current ?? []), next });
        early.current = null;
      })
      .catch((thrown) => {
        if (!current) return;
        setHeld(NOTHING);
        setError(refused(thrown));
      })
      .finally(() => current && setLoading(false));
    return () => {
      current = false;
    };
  }, [key, attempt]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` holds the filter
  const loadOlder = useCallback(() => {
    if (loading || held.next === null) return;
    const last = held.lines.at(-1);
    // Dropped lines would leave a gap after the cursor, so continue from the time of the last line.
    const since = held.dropped && last ? { ...span, to: last.time } : span;
    setLoading(true);
    logPage(runtime, { ...filter, ...since }, held.dropped ? undefined : held.next, PAGE)
      .then(({ logs, next }) => {
        if (asked.current === key)
          setHeld((now) => ({ ...now, lines: older(now.lines, logs), next, dropped: false }));
      })
      .catch((thrown) => asked.current === key && setError(refused(thrown)))
      .finally(() => setLoading(false));
  }, [key, loading, held]);

  const buffer = useRef<Log[]>([]);
  const take = useCallback(
    (incoming: readonly Log[]) => {
      if (early.current) {
        early.current.push(...incoming);
        return;
      }
      setHeld((now) => {
        if (!atTop()) return { ...now, waiting: [...now.waiting, ...incoming].slice(-MOST) };
        const lines = arrived(now.lines, [...now.waiting, ...incoming]);
        const dropped = now.dropped || lines.length === MOST;
        return { ...now, lines, waiting: [], dropped, next: dropped ? (now.next ?? "") : now.next };
      });
    },
    [atTop],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new search drops lines of the previous one
  useEffect(() => {
    buffer.current = [];
    const timer = setInterval(() => {
      if (buffer.current.length === 0) return;
      take(buffer.current);
      buffer.current = [];
    }, BEAT);
    return () => clearInterval(timer);
  }, [key, take]);

  const connection = useLive(
    live ? tailPath(runtime, filter) : null,
    { logs: (data) => void buffer.current.push(...(data as Log[])) },
    () => {
      logPage(runtime, { ...filter, ...span }, undefined, PAGE)
        .then(({ logs, next }) => {
          if (asked.current !== key) return;
          const [newest, oldest] = [held.lines[0], logs.at(-1)];
          // The gap exceeds a page: show the latest lines only.
          if (next !== null && newest && oldest && oldest.id > newest.id)
            setHeld({ ...NOTHING, lines: logs, next });
          else take(logs.toReversed());
        })
        .catch(() => undefined);
    },
  );

  return {
    lines: held.lines,
    waiting: held.waiting.length,
    more: held.next !== null,
    loading,
    error,
    connection,
    loadOlder,
    showWaiting: useCallback(
      () => setHeld((now) => ({ ...now, lines: arrived(now.lines, now.waiting), waiting: [] })),
      [],
    ),
    retry: () => setAttempt((now) => now + 1),
  };
}
