import "@xyflow/react/dist/base.css";
import "./graph.css";

import { useQuery } from "@tanstack/react-query";
import {
  Background,
  Controls,
  type Edge,
  Handle,
  MarkerType,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
} from "@xyflow/react";
import { useLayoutEffect, useMemo, useRef, useState } from "react";
import { Link } from "react-router";
import { useLive } from "../../api/live";
import * as api from "../../api/queries";
import type { Graph, GraphGpu, GraphNode, GraphWorkflow, Version } from "../../api/schema";
import { bytes, count, duration, durations, number, percent, plural, rate } from "../../lib/format";
import { useUrl } from "../../lib/url";
import { Filter } from "../../ui/controls";
import { type Column, Panel, Table } from "../../ui/layout";
import { Loaded } from "../../ui/loaded";
import { NodeBadge } from "../../ui/text";
import { useDark } from "../../ui/theme";
import { useVersion } from ".";
import { arrange, type Place, ways } from "./graph-layout";

const MOVING: Version["state"][] = ["STARTING", "STARTED", "PUBLISHED", "STOPPING"];

export default function GraphPage() {
  const version = useVersion();
  const query = useQuery(api.graph(version.runtime, version.name));
  const [live, setLive] = useState<Graph | null>(null);
  const moves = MOVING.includes(version.state);
  const path = `/runtimes/${version.runtime}/versions/${version.name}/graph/live`;
  const connection = useLive(moves ? path : null, { graph: (data) => setLive(data as Graph) });
  const latest = live?.version === version.name && moves ? live : null;
  return (
    <Loaded query={query} height={420}>
      {(first) => <View version={version} graph={latest ?? first} lost={connection === "lost"} />}
    </Loaded>
  );
}

function View({ version, graph, lost }: { version: Version; graph: Graph; lost: boolean }) {
  const url = useUrl();
  const workflow = url.get("workflow");
  return (
    <>
      <Panel
        title={
          <>
            Graph{" "}
            <span className="muted small plain">
              {lost ? "connection lost, reconnecting" : `figures of the last ${graph.window_seconds} s`}
            </span>
          </>
        }
        actions={
          <>
            {graph.in_flight > 0 && (
              <span className="muted number wide-only">{count(graph.in_flight)} in flight</span>
            )}
            {graph.workflows.length > 1 && (
              <div className="graph-filter">
                <Filter
                  label="Workflow"
                  all="All workflows"
                  value={workflow}
                  options={graph.workflows.map(({ name }) => name)}
                  onChange={(name) => url.set({ workflow: name })}
                />
              </div>
            )}
          </>
        }
        flush
      >
        <Picture graph={graph} workflow={workflow} version={version} />
      </Panel>
      <Nodes version={version} nodes={graph.nodes} />
      <Workflows version={version} workflows={graph.workflows} />
    </>
  );
}

type EntryNode = Node<{ workflow: GraphWorkflow; faded: boolean; upright: boolean }, "entry">;
type WorkNode = Node<{ node: GraphNode; faded: boolean; upright: boolean }, "work">;

const TYPES = { entry: EntryCard, work: WorkCard };

function Picture({
  graph,
  workflow,
  version,
}: {
  graph: Graph;
  workflow: string | undefined;
  version: Version;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState<number | null>(null);
  useLayoutEffect(() => {
    if (!box.current) return;
    setWidth(box.current.clientWidth);
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.round(entry.contentRect.width)));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  // The numbers change every second, the structure does not: compute the layout once.
  const key = JSON.stringify([
    graph.workflows.map(({ name, sequence }) => [name, sequence]),
    graph.nodes.map(({ name, gpus }) => [name, gpus.length > 0]),
  ]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` identifies the structure
  const { places, edges, height, upright } = useMemo(
    () => ({ ...arrange(graph, width ?? 960), edges: ways(graph) }),
    [key, width],
  );

  const dark = useDark();
  const within = (workflows: string[]) => !workflow || workflows.includes(workflow);
  return (
    <div ref={box} className="graph" style={{ height }}>
      {width !== null && (
        <ReactFlow<EntryNode | WorkNode, Edge>
          key={`${key} ${width} ${upright}`}
          colorMode={dark ? "dark" : "light"}
          nodes={places.flatMap((one) => card(one, graph, workflow, upright))}
          edges={edges.map(({ id, source, target, workflows }) => ({
            id,
            source,
            target,
            className: within(workflows) ? (workflow ? "chosen" : "") : "faded",
            markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16 },
            focusable: false,
          }))}
          nodeTypes={TYPES}
          fitView
          fitViewOptions={{ padding: "20px", maxZoom: 1 }}
          minZoom={0.3}
          maxZoom={1.5}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={false}
          elementsSelectable={false}
          zoomOnScroll={false}
          preventScrolling={false}
          panOnDrag={!upright}
          zoomOnDoubleClick={false}
          proOptions={{ hideAttribution: true }}
          aria-label={`The graph of ${version.name}; the tables below show the same data`}
        >
          <Background gap={18} size={1} />
          {!upright && <Controls showInteractive={false} position="bottom-left" orientation="horizontal" />}
        </ReactFlow>
      )}
    </div>
  );
}

function card(
  { id, kind, name, x, y, width, height }: Place,
  graph: Graph,
  chosen: string | undefined,
  upright: boolean,
): (EntryNode | WorkNode)[] {
  const at = { id, position: { x, y }, width, height };
  if (kind === "entry") {
    const workflow = graph.workflows.find((one) => one.name === name);
    const faded = chosen !== undefined && chosen !== name;
    return workflow ? [{ ...at, type: "entry", data: { workflow, faded, upright } }] : [];
  }
  const node = graph.nodes.find((one) => one.name === name);
  const flow = graph.workflows.find((one) => one.name === chosen);
  const faded = flow !== undefined && !flow.sequence.includes(name);
  return node ? [{ ...at, type: "work", data: { node, faded, upright } }] : [];
}

function Handles({ upright, entry }: { upright: boolean; entry?: boolean }) {
  return (
    <>
      {!entry && (
        <Handle type="target" position={upright ? Position.Top : Position.Left} isConnectable={false} />
      )}
      <Handle type="source" position={upright ? Position.Bottom : Position.Right} isConnectable={false} />
    </>
  );
}

function EntryCard({ data: { workflow, faded, upright } }: NodeProps<EntryNode>) {
  return (
    <div className={`entry-card${faded ? " faded" : ""}`}>
      <Handles upright={upright} entry />
      <b className="clip">{workflow.entrypoint}</b>
      <span className="number muted small">
        {rate(workflow.rate)}/s · p95 {duration(workflow.elapsed_ms.p95)}
      </span>
    </div>
  );
}

function WorkCard({ data: { node, faded, upright } }: NodeProps<WorkNode>) {
  return (
    <div className={`work-card ${node.state}${faded ? " faded" : ""}`}>
      <Handles upright={upright} />
      <div className="row title">
        <b className="clip grow">{node.name}</b>
        <NodeBadge state={node.state} />
      </div>
      <dl>
        <div>
          <dt>rate</dt>
          <dd>{rate(node.rate)}/s</dd>
        </div>
        <div>
          <dt>p95</dt>
          <dd>{duration(node.handler_ms.p95)}</dd>
        </div>
        {node.min_replicas < node.max_replicas && (
          <div>
            <dt>workers</dt>
            <dd>
              {count(node.workers)} of {replicas(node)}
            </dd>
          </div>
        )}
        <div>
          <dt>queue</dt>
          <dd className={node.queue > 20 ? "tone-warn" : ""}>{count(node.queue)}</dd>
        </div>
        <div>
          <dt>errors</dt>
          <dd className={node.failed ? "tone-bad" : ""}>{count(node.failed)}</dd>
        </div>
      </dl>
      {node.gpus.length > 0 && <p className="number muted small clip">{loads(node.gpus)}</p>}
    </div>
  );
}

/** The learnt batches of a node: their mean size, and the times of the smallest and the largest. */
function batches({ batch }: GraphNode): string | null {
  if (!batch || batch.mean_size === null) return null;
  return `batches ${number(batch.mean_size)} of ${batch.max}: ${durations([batch.one_ms, batch.max_ms])}`;
}

/** How many workers a node should have: between which numbers, if it follows the load. */
function replicas({ replicas, min_replicas: min, max_replicas: max }: GraphNode): string {
  return min === max ? count(replicas) : `${count(min)}–${count(max)}`;
}

/** The memory in use on a GPU and how busy it is, as far as these are known. */
function load({ id, memory, memory_used, utilization }: GraphGpu): string {
  const used = memory === null || memory_used === null ? [] : [`${bytes(memory_used)} of ${bytes(memory)}`];
  return [`GPU ${id}`, ...used, ...(utilization === null ? [] : [percent(utilization, 0)])].join(" · ");
}

/** The same of all GPUs of a node, in few letters. */
function loads(gpus: GraphGpu[]): string {
  const sum = (numbers: (number | null)[]) => numbers.reduce<number>((sum, one) => sum + (one ?? 0), 0);
  const rates = gpus.flatMap(({ utilization }) => utilization ?? []);
  const memory = sum(gpus.map((gpu) => gpu.memory));
  const parts = [
    ...(rates.length > 0 ? [percent(sum(rates) / rates.length, 0)] : []),
    ...(memory > 0 ? [`memory ${percent(sum(gpus.map((gpu) => gpu.memory_used)) / memory, 0)}`] : []),
  ];
  return `${plural(gpus.length, "GPU")} ${parts.join(" · ")}`;
}

function Nodes({ version, nodes }: { version: Version; nodes: GraphNode[] }) {
  const logs = `/runtimes/${version.runtime}/logs?version=${version.name}`;
  const columns: Column<GraphNode>[] = [
    {
      title: "Node",
      cell: (node) => (
        <>
          <b>{node.name}</b>
          <p className="second">
            {node.language}
            <span className="wide-only">
              , <code>{node.src}</code>
            </span>
          </p>
          {node.gpus.map((gpu) => (
            <p key={gpu.id} className="second" title={gpu.name ?? undefined}>
              {load(gpu)}
            </p>
          ))}
          <p className="narrow-only">
            <NodeBadge state={node.state} />
          </p>
        </>
      ),
    },
    { title: "State", shrink: true, spare: true, cell: ({ state }) => <NodeBadge state={state} /> },
    {
      title: "Processes",
      end: true,
      spare: true,
      cell: (node) => `${node.workers} of ${replicas(node)}`,
    },
    { title: "Rate", end: true, cell: (node) => `${rate(node.rate)}/s` },
    {
      title: "Handler p50 / p95 / p99",
      end: true,
      spare: true,
      cell: (node) => {
        const { p50, p95, p99 } = node.handler_ms;
        return (
          <>
            {p50 === null ? "–" : durations([p50, p95, p99])}
            {batches(node) !== null && <p className="second">{batches(node)}</p>}
          </>
        );
      },
    },
    { title: "Waiting p95", end: true, spare: true, cell: ({ waiting_ms }) => duration(waiting_ms.p95) },
    { title: "Queue", end: true, spare: true, cell: ({ queue }) => count(queue) },
    {
      title: "Errors",
      end: true,
      cell: ({ failed }) => <span className={failed ? "tone-bad" : undefined}>{count(failed)}</span>,
    },
    { title: "Restarts", end: true, spare: true, cell: ({ restarts }) => count(restarts) },
    {
      title: <span className="hidden-visually">Logs</span>,
      shrink: true,
      cell: ({ name }) => (
        <Link to={`${logs}&node=${name}`} aria-label={`Logs of ${name}`}>
          Logs
        </Link>
      ),
    },
  ];
  return (
    <Panel title="Nodes" flush>
      <Table label="Nodes" columns={columns} items={nodes} id={({ name }) => name} />
    </Panel>
  );
}

function Workflows({ version, workflows }: { version: Version; workflows: GraphWorkflow[] }) {
  const at = `/runtimes/${version.runtime}/requests?version=${version.name}`;
  const columns: Column<GraphWorkflow>[] = [
    {
      title: "Workflow",
      cell: (workflow) => (
        <>
          <b>{workflow.name}</b>
          <p className="second">{workflow.sequence.join(" → ")}</p>
        </>
      ),
    },
    { title: "Method", spare: true, cell: ({ method, entrypoint }) => <code>{method ?? entrypoint}</code> },
    { title: "Rate", end: true, cell: (workflow) => `${rate(workflow.rate)}/s` },
    {
      title: "Elapsed p50 / p95 / p99",
      end: true,
      spare: true,
      cell: ({ elapsed_ms: { p50, p95, p99 } }) => (p50 === null ? "–" : durations([p50, p95, p99])),
    },
    {
      title: "Failed",
      end: true,
      cell: ({ failed }) => <span className={failed ? "tone-bad" : undefined}>{count(failed)}</span>,
    },
    {
      title: <span className="hidden-visually">Requests</span>,
      shrink: true,
      cell: ({ name }) => (
        <Link to={`${at}&workflow=${name}`} aria-label={`Requests of ${name}`}>
          Requests
        </Link>
      ),
    },
  ];
  return (
    <Panel title="Workflows" flush>
      <Table label="Workflows" columns={columns} items={workflows} id={({ name }) => name} />
    </Panel>
  );
}
