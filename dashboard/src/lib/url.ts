/** The part of a page's state in its URL, so that users can share it. */

import { useCallback, useEffect, useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import { type Preset, parseRange, type Range, type Resolved, resolve } from "./range";

export type Changes = Record<string, string | string[] | null | undefined>;

/** Applies changes to parameters: `null`, `undefined` and the empty string remove one. */
export function changed(params: URLSearchParams, changes: Changes): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) if (one) next.append(name, one);
  }
  return next;
}

export interface Url {
  params: URLSearchParams;
  get: (name: string) => string | undefined;
  all: (name: string) => string[];
  /** Replaces the history entry, since a filter is not a separate place. */
  set: (changes: Changes) => void;
}

export function useUrl(): Url {
  const [params, setParams] = useSearchParams();
  const set = useCallback(
    (changes: Changes) => {
      // Read the address bar, not the last rendered URL: two changes may happen at once.
      const now = new URLSearchParams(window.location.search);
      setParams(changed(now, changes), { replace: true, preventScrollReset: true });
    },
    [setParams],
  );
  return useMemo(
    () => ({
      params,
      get: (name) => params.get(name) ?? undefined,
      all: (name) => params.getAll(name),
      set,
    }),
    [params, set],
  );
}

/** Returns a parameter if it is one of a few words. */
export function oneOf<const T extends string>(text: string | undefined, words: readonly T[]): T | undefined {
  return words.find((word) => word === text);
}

/** The current time, updated every `step` milliseconds while the page is visible. */
export function useNow(step: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") setNow(Date.now());
    }, step);
    return () => clearInterval(timer);
  }, [step]);
  return now;
}

export interface RangeState {
  range: Range;
  resolved: Resolved;
  set: (range: Range) => void;
}

/** The range of time in the URL; a preset advances with the clock. */
export function useRange(usual: Preset, step = 10_000): RangeState {
  const url = useUrl();
  const now = useNow(step);
  const range = parseRange(url.params, usual);
  const { from, to } = resolve(range, now, step);
  const set = useCallback(
    (next: Range) =>
      url.set(
        next.kind === "preset"
          ? { range: next.preset === usual ? null : next.preset, from: null, to: null }
          : { range: null, from: next.from, to: next.to },
      ),
    [url, usual],
  );
  return { range, resolved: useMemo(() => ({ from, to }), [from, to]), set };
}
