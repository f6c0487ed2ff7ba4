/** One named query for each resource of the API, so that a live event can mark it stale. */

import { keepPreviousData, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { client, take } from "./client";
import type { Action, Ending, Level } from "./schema";

export interface LogFilter {
  version?: string;
  text?: string;
  level?: Level;
  node?: string;
  workflow?: string;
  request?: string;
}

export interface RequestFilter {
  version?: string;
  workflow?: string;
  ending?: Ending;
  order?: "latest" | "slowest";
}

export interface Span {
  from?: string;
  to?: string;
}

const at = (runtime: string, version: string) => ({ params: { path: { runtime, version } } });

export const server = () =>
  queryOptions({
    queryKey: ["server"],
    queryFn: () => take(client.GET("/server")),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const me = () =>
  queryOptions({
    queryKey: ["session"],
    queryFn: () => take(client.GET("/session")),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const runtimes = () =>
  queryOptions({ queryKey: ["runtimes"], queryFn: () => take(client.GET("/runtimes")) });

export const runtime = (runtime: string) =>
  queryOptions({
    queryKey: ["runtimes", runtime],
    queryFn: () => take(client.GET("/runtimes/{runtime}", { params: { path: { runtime } } })),
  });

export const stores = (runtime: string) =>
  queryOptions({
    queryKey: ["stores", runtime],
    queryFn: () => take(client.GET("/runtimes/{runtime}/stores", { params: { path: { runtime } } })),
  });

export const versions = (runtime: string) =>
  queryOptions({
    queryKey: ["runtimes", runtime, "versions"],
    queryFn: () => take(client.GET("/runtimes/{runtime}/versions", { params: { path: { runtime } } })),
  });

export const version = (runtime: string, version: string) =>
  queryOptions({
    queryKey: ["runtimes", runtime, "versions", version],
    queryFn: () => take(client.GET("/runtimes/{runtime}/versions/{version}", at(runtime, version))),
  });

export const graph = (runtime: string, version: string) =>
  queryOptions({
    queryKey: ["runtimes", runtime, "versions", version, "graph"],
    queryFn: () => take(client.GET("/runtimes/{runtime}/versions/{version}/graph", at(runtime, version))),
  });

export const config = (runtime: string, version: string) =>
  queryOptions({
    queryKey: ["runtimes", runtime, "versions", version, "config"],
    queryFn: () => take(client.GET("/runtimes/{runtime}/versions/{version}/config", at(runtime, version))),
  });

export const docs = (runtime: string, version: string) =>
  queryOptions({
    queryKey: ["docs", runtime, version],
    queryFn: () => take(client.GET("/runtimes/{runtime}/versions/{version}/docs", at(runtime, version))),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const methods = (runtime: string, version: string) =>
  queryOptions({
    queryKey: ["methods", runtime, version],
    queryFn: () => take(client.GET("/runtimes/{runtime}/versions/{version}/methods", at(runtime, version))),
    staleTime: Number.POSITIVE_INFINITY,
  });

export function logPage(
  runtime: string,
  filter: LogFilter & Span,
  cursor: string | undefined,
  limit: number,
) {
  const query = { ...filter, cursor, limit };
  return take(client.GET("/runtimes/{runtime}/logs", { params: { path: { runtime }, query } }));
}

export function requestPage(runtime: string, filter: RequestFilter, cursor: string | undefined) {
  const query = { ...filter, cursor, limit: 60 };
  return take(client.GET("/runtimes/{runtime}/requests", { params: { path: { runtime }, query } }));
}

export const request = (runtime: string, id: string) =>
  queryOptions({
    queryKey: ["requests", runtime, "one", id],
    queryFn: () =>
      take(client.GET("/runtimes/{runtime}/requests/{id}", { params: { path: { runtime, id } } })),
  });

export const measurements = (runtime: string) =>
  queryOptions({
    queryKey: ["measurements", runtime],
    queryFn: () => take(client.GET("/runtimes/{runtime}/measurements", { params: { path: { runtime } } })),
  });

export interface WindowsOf extends Span {
  measurement: string;
  field: string;
  tag: string[];
  group_by: string[];
  every_seconds?: number;
}

export const windows = (runtime: string, { measurement, ...query }: WindowsOf) =>
  queryOptions({
    queryKey: ["windows", runtime, measurement, query],
    queryFn: () =>
      take(
        client.GET("/runtimes/{runtime}/measurements/{measurement}/windows", {
          params: { path: { runtime, measurement }, query },
        }),
      ),
    placeholderData: keepPreviousData,
  });

export const boards = (runtime: string) =>
  queryOptions({
    queryKey: ["boards", runtime],
    queryFn: () => take(client.GET("/runtimes/{runtime}/boards", { params: { path: { runtime } } })),
  });

export const predictionSummary = (
  runtime: string,
  query: Span & { version?: string; every_seconds?: number },
) =>
  queryOptions({
    queryKey: ["predictions", runtime, "summary", query],
    queryFn: () =>
      take(client.GET("/runtimes/{runtime}/predictions/summary", { params: { path: { runtime }, query } })),
    placeholderData: keepPreviousData,
  });

export interface PredictionFilter extends Span {
  version?: string;
  predicted?: string;
  true_value?: string;
  error?: "missing_values" | "new_labels";
}

export function predictionPage(runtime: string, filter: PredictionFilter, cursor: string | undefined) {
  const query = { ...filter, cursor, limit: 50 };
  return take(client.GET("/runtimes/{runtime}/predictions", { params: { path: { runtime }, query } }));
}

export const users = () => queryOptions({ queryKey: ["users"], queryFn: () => take(client.GET("/users")) });
export const tokens = () =>
  queryOptions({ queryKey: ["tokens"], queryFn: () => take(client.GET("/tokens")) });
export const sessions = () =>
  queryOptions({ queryKey: ["sessions"], queryFn: () => take(client.GET("/sessions")) });

/** Runs an action on a version. */
export function act(runtime: string, version: string, action: Action, comment: string): Promise<unknown> {
  const path = { runtime, version };
  const body = comment ? { comment } : {};
  switch (action) {
    case "start":
      return take(client.POST("/runtimes/{runtime}/versions/{version}/start", { params: { path }, body }));
    case "stop":
      return take(client.POST("/runtimes/{runtime}/versions/{version}/stop", { params: { path }, body }));
    case "publish":
      return take(client.POST("/runtimes/{runtime}/versions/{version}/publish", { params: { path }, body }));
    case "unpublish":
      return take(
        client.POST("/runtimes/{runtime}/versions/{version}/unpublish", { params: { path }, body }),
      );
    case "delete":
      return take(client.DELETE("/runtimes/{runtime}/versions/{version}", { params: { path, query: body } }));
  }
}

/** A mutation that refetches all queries whose key starts with one of `stale`. */
export function useChange<In, Out>(change: (input: In) => Promise<Out>, ...stale: string[]) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () =>
      Promise.all([...stale, "audit"].map((key) => queries.invalidateQueries({ queryKey: [key] }))),
  });
}
