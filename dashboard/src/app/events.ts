/** Keeps browsers in sync: refetches the data that the server reports as changed. */

import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useLive } from "../api/live";
import type { Event } from "../api/schema";

/** The prefixes of the query keys that an event makes stale. */
export function stale({ kind, runtime }: Pick<Event, "kind" | "runtime">): string[][] {
  switch (kind) {
    case "user":
      return [["users"], ["session"], ["audit"]];
    case "token":
      return [["tokens"], ["sessions"], ["audit"]];
    case "board":
      return [runtime ? ["boards", runtime] : ["boards"]];
    case "runtime":
    case "version":
    case "config":
    case "deleted":
      return [["runtimes"], ["audit"]];
  }
}

export function useLiveEvents() {
  const queries = useQueryClient();
  const handle = (data: unknown) => forget(queries, data as Event);
  useLive(
    "/events",
    {
      runtime: handle,
      version: handle,
      config: handle,
      board: handle,
      user: handle,
      token: handle,
      deleted: handle,
    },
    () => void queries.invalidateQueries(),
  );
}

function forget(queries: QueryClient, event: Event) {
  for (const queryKey of stale(event)) void queries.invalidateQueries({ queryKey });
}
