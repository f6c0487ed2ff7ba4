import { expect, test } from "vitest";
import { arrange, place, type Structure, ways } from "./graph-layout";

const structure = {
  nodes: ["etl", "model", "output"].map((name) => ({ name, gpus: [] })),
  workflows: [
    { name: "classify", sequence: ["etl", "model", "output"] },
    { name: "evaluate", sequence: ["etl", "model"] },
  ],
} as unknown as Structure;

test("two workflows share an edge", () => {
  expect(ways(structure).map(({ id, workflows }) => [id, workflows])).toEqual([
    ["entry:classify>node:etl", ["classify"]],
    ["node:etl>node:model", ["classify", "evaluate"]],
    ["node:model>node:output", ["classify"]],
    ["entry:evaluate>node:etl", ["evaluate"]],
  ]);
});

test.each([
  [false, "x"],
  [true, "y"],
] as const)("stages follow each other (upright: %s)", (upright, axis) => {
  const places = Object.fromEntries(place(structure, upright).map((one) => [one.id, one]));
  const line = ["entry:classify", "node:etl", "node:model", "node:output"].map(
    (id) => places[id]?.[axis] ?? Number.NaN,
  );
  expect(line).toEqual([...line].sort((a, b) => a - b));
  expect(new Set(line).size).toBe(4);
});

test("a node without a workflow has a place, too", () => {
  const alone = { nodes: [{ name: "archive", gpus: [] }], workflows: [] } as unknown as Structure;
  expect(place(alone, false)).toHaveLength(1);
});

test("a node with GPUs has a line more", () => {
  const nodes = [0, 2].map((count) => ({ name: `with-${count}`, gpus: Array(count).fill({}) }));
  const [without, some] = place({ nodes, workflows: [] } as unknown as Structure, false);
  expect(some?.height).toBeGreaterThan(without?.height ?? Number.NaN);
});

test("graphs are horizontal if legible, else upright", () => {
  expect(arrange(structure, 1000).upright).toBe(false);
  expect(arrange(structure, 360).upright).toBe(true);
  const sequence = Array.from({ length: 14 }, (_, i) => `n${i}`);
  const long = {
    nodes: sequence.map((name) => ({ name, gpus: [] })),
    workflows: [{ name: "w", sequence }],
  } as unknown as Structure;
  expect(arrange(long, 1000).upright).toBe(true);
});
