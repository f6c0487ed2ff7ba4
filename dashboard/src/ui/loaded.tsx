/** The states of a query: data, loading or error. */

import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { refused } from "../api/client";
import { Failure, Waiting } from "./feedback";

export function Loaded<T>({
  query,
  height,
  children,
}: {
  query: UseQueryResult<T>;
  height?: number;
  children: (data: T) => ReactNode;
}) {
  // Hide data that was deleted meanwhile.
  const gone = query.isError && refused(query.error).status === 404;
  if (query.data !== undefined && !gone)
    return (
      <>
        {query.isError && <Failure error={refused(query.error)} retry={() => void query.refetch()} />}
        {children(query.data)}
      </>
    );
  if (query.isError) return <Failure error={refused(query.error)} retry={() => void query.refetch()} />;
  return <Waiting height={height ?? 240} />;
}
