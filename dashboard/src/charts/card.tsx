/** A chart of a board, with its data. */

import { useQuery } from "@tanstack/react-query";
import { ChartLine, Table2 } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { refused } from "../api/client";
import * as api from "../api/queries";
import type { Chart as Board } from "../api/schema";
import { span } from "../lib/format";
import { every, iso, type Range, type Resolved } from "../lib/range";
import { IconButton } from "../ui/controls";
import { Failure, Waiting } from "../ui/feedback";
import { Panel } from "../ui/layout";
import { align } from "./align";
import { Chart } from "./chart";

export const HEIGHT = 200;
/** The height of the legend below. */
const CAPTION = 44;

export function ChartCard({
  runtime,
  chart,
  resolved,
  onRange,
  actions,
  height = HEIGHT,
}: {
  runtime: string;
  chart: Board;
  resolved: Resolved;
  onRange: (range: Range) => void;
  actions?: ReactNode;
  height?: number;
}) {
  const [table, setTable] = useState(false);
  const query = useQuery(
    api.windows(runtime, {
      measurement: chart.measurement,
      field: chart.field,
      tag: Object.entries(chart.tags ?? {}).map(([name, value]) => `${name}:${value}`),
      group_by: chart.group_by ?? [],
      every_seconds: every(resolved, 150),
      ...resolved,
    }),
  );
  const aligned = useMemo(
    () => query.data && align(query.data, chart.aggregation, chart.group_by ?? []),
    [query.data, chart.aggregation, chart.group_by],
  );
  const unit = chart.aggregation === "count" ? undefined : chart.unit;
  return (
    <Panel
      title={
        <>
          {chart.title}{" "}
          {query.data && <span className="muted small plain">each {span(query.data.every_seconds)}</span>}
        </>
      }
      actions={
        <>
          <IconButton
            label={table ? `${chart.title} as a chart` : `${chart.title} as a table`}
            icon={table ? <ChartLine aria-hidden size={14} /> : <Table2 aria-hidden size={14} />}
            onPress={() => setTable(!table)}
          />
          {actions}
        </>
      }
    >
      {query.isError && !aligned ? (
        <Failure error={refused(query.error)} retry={() => void query.refetch()} />
      ) : !aligned ? (
        <Waiting height={height + CAPTION} />
      ) : aligned.times.length === 0 ? (
        <p className="chart-nothing" style={{ height: height + CAPTION }}>
          No measurements in this period.
        </p>
      ) : (
        <>
          <Chart
            title={chart.title}
            times={aligned.times}
            lines={aligned.lines}
            whole={aligned.whole}
            unit={unit}
            height={height}
            sync={runtime}
            table={table}
            from={Date.parse(resolved.from) / 1000}
            to={Date.parse(resolved.to) / 1000}
            onZoom={(from, to) =>
              onRange({ kind: "fixed", from: iso(from * 1000), to: iso(Math.max(to, from + 1) * 1000) })
            }
          />
          {aligned.left > 0 && (
            <p className="muted small">{aligned.left} more series have no place; narrow them by tags.</p>
          )}
        </>
      )}
    </Panel>
  );
}
