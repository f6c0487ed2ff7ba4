import { useQuery } from "@tanstack/react-query";
import { ChartLine } from "lucide-react";
import { useParams } from "react-router";
import * as api from "../../api/queries";
import type { Chart } from "../../api/schema";
import { ChartCard } from "../../charts/card";
import { useUrl } from "../../lib/url";
import { Filter } from "../../ui/controls";
import { Empty } from "../../ui/feedback";
import { Loaded } from "../../ui/loaded";
import { Frame } from "./frame";
import "./measurements.css";

/** Charts of the measurements that krt takes itself. */
const CHARTS: Chart[] = [
  {
    title: "Requests",
    measurement: "workflow_elapsed_time",
    field: "elapsed_ms",
    aggregation: "count",
    group_by: ["workflow"],
  },
  {
    title: "Time of a request, p95",
    measurement: "workflow_elapsed_time",
    field: "elapsed_ms",
    aggregation: "p95",
    group_by: ["workflow"],
    unit: "ms",
  },
  {
    title: "Time of a request, median",
    measurement: "workflow_elapsed_time",
    field: "elapsed_ms",
    aggregation: "p50",
    group_by: ["workflow"],
    unit: "ms",
  },
  {
    title: "Slowest request",
    measurement: "workflow_elapsed_time",
    field: "elapsed_ms",
    aggregation: "max",
    group_by: ["workflow"],
    unit: "ms",
  },
  {
    title: "Handlers by node, p95",
    measurement: "node_elapsed_time",
    field: "elapsed_ms",
    aggregation: "p95",
    group_by: ["node"],
    unit: "ms",
  },
  {
    title: "Waiting by node, p95",
    measurement: "node_elapsed_time",
    field: "waiting_ms",
    aggregation: "p95",
    group_by: ["node"],
    unit: "ms",
  },
];

export default function ElapsedPage() {
  const { runtime = "" } = useParams();
  const query = useQuery(api.measurements(runtime));
  const url = useUrl();
  const [version, workflow] = [url.get("version"), url.get("workflow")];
  const tags = { ...(version && { version }), ...(workflow && { workflow }) };
  return (
    <Frame title="Elapsed times">
      {(range) => (
        <Loaded query={query}>
          {(measurements) => {
            const known = measurements.find(({ name }) => name === "workflow_elapsed_time");
            if (!known)
              return (
                <Empty title="No measurements yet" icon={<ChartLine aria-hidden size={28} />}>
                  Each answered request adds the durations of the request and its nodes.{" "}
                  <code>ctx.measurement.save</code> adds your own measurements.
                </Empty>
              );
            return (
              <>
                <div className="toolbar">
                  <Filter
                    label="Version"
                    all="All versions"
                    value={version}
                    options={known.tags.version ?? []}
                    onChange={(version) => url.set({ version })}
                  />
                  <Filter
                    label="Workflow"
                    all="All workflows"
                    value={workflow}
                    options={known.tags.workflow ?? []}
                    onChange={(workflow) => url.set({ workflow })}
                  />
                </div>
                <div className="charts">
                  {CHARTS.map((chart) => (
                    <div key={chart.title} data-width="6">
                      <ChartCard
                        runtime={runtime}
                        chart={{ ...chart, tags }}
                        resolved={range.resolved}
                        onRange={range.set}
                      />
                    </div>
                  ))}
                </div>
              </>
            );
          }}
        </Loaded>
      )}
    </Frame>
  );
}
