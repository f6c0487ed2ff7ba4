/** The layout of a version's graph. Pure: the page draws it. */

import { graphlib, layout } from "@dagrejs/dagre";
import type { Graph, GraphNode } from "../../api/schema";

const NODE = { width: 192, height: 82 };
/** A node whose workers have GPUs: one line more. */
const NODE_WITH_GPUS = { width: 192, height: 102 };
const ENTRY = { width: 172, height: 54 };

export interface Place {
  id: string;
  kind: "entry" | "node";
  name: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Way {
  id: string;
  source: string;
  target: string;
  workflows: string[];
}

export type Structure = Pick<Graph, "nodes" | "workflows">;

export const entryId = (workflow: string) => `entry:${workflow}`;
export const nodeId = (node: string) => `node:${node}`;

const size = ({ gpus }: GraphNode) => (gpus.length > 0 ? NODE_WITH_GPUS : NODE);

/** The edges of the graph; workflows share an edge between the same nodes. */
export function ways({ workflows }: Structure): Way[] {
  const found = new Map<string, Way>();
  for (const { name, sequence } of workflows) {
    const stages = [entryId(name), ...sequence.map(nodeId)];
    for (const [i, target] of stages.slice(1).entries()) {
      const source = stages[i] as string;
      const id = `${source}>${target}`;
      const way = found.get(id);
      if (way) way.workflows.push(name);
      else found.set(id, { id, source, target, workflows: [name] });
    }
  }
  return [...found.values()];
}

/** Left to right, or top to bottom in a narrow space. */
export function place(structure: Structure, upright: boolean): Place[] {
  const graph = new graphlib.Graph();
  graph.setGraph({ rankdir: upright ? "TB" : "LR", nodesep: 20, ranksep: upright ? 34 : 40 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { name } of structure.workflows) graph.setNode(entryId(name), { ...ENTRY });
  for (const node of structure.nodes) graph.setNode(nodeId(node.name), { ...size(node) });
  for (const { source, target } of ways(structure)) graph.setEdge(source, target);
  layout(graph);
  const at = (id: string, kind: Place["kind"], name: string): Place => {
    const { x, y, width, height } = graph.node(id) as { x: number; y: number; width: number; height: number };
    return { id, kind, name, x: x - width / 2, y: y - height / 2, width, height };
  };
  return [
    ...structure.workflows.map(({ name }) => at(entryId(name), "entry", name)),
    ...structure.nodes.map(({ name }) => at(nodeId(name), "node", name)),
  ];
}

const PADDING = 40;
/** The smallest legible scale. */
const LEAST = 0.68;

/** Lays out the graph for a width: horizontal while legible, else vertical. */
export function arrange(
  structure: Structure,
  width: number,
): { places: Place[]; upright: boolean; height: number } {
  const lying = sized(place(structure, false), width);
  if (width >= 640 && lying.scale >= LEAST)
    return { places: lying.places, upright: false, height: lying.height };
  const upright = sized(place(structure, true), width);
  return { places: upright.places, upright: true, height: upright.height };
}

function sized(places: Place[], width: number): { places: Place[]; scale: number; height: number } {
  const right = Math.max(...places.map((one) => one.x + one.width), 1);
  const bottom = Math.max(...places.map((one) => one.y + one.height), 1);
  const scale = Math.min(1, (width - PADDING) / right);
  // Leaves room for the buttons below a horizontal graph.
  return { places, scale, height: Math.max(180, Math.round(bottom * scale) + PADDING + 32) };
}
