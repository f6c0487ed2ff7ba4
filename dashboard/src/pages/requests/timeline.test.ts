import { expect, test } from "vitest";
import type { Hop } from "../../api/schema";
import { marks, timeline } from "./timeline";

const hop = (start_ms: number, waiting_ms: number, handler_ms: number): Hop => ({
  node: "n",
  position: 0,
  start_ms,
  waiting_ms,
  encode_ms: 0,
  handler_ms,
  decode_ms: 0,
  outcome: "ok",
});

test("shares of the time until the answer", () => {
  const { whole, bars, answer, between } = timeline({ hops: [hop(2, 1, 3), hop(6, 1, 2)], elapsed_ms: 10 });
  expect(whole).toBe(10);
  expect(bars.map(({ wait, handler }) => [wait.left, wait.width, handler.left, handler.width])).toEqual([
    [10, 10, 20, 30],
    [50, 10, 60, 20],
  ]);
  expect(answer).toBe(100);
  expect(between).toBe(3);
});

test("serialisation comes before the handler and after it", () => {
  const coded = { ...hop(4, 2, 3), encode_ms: 1, decode_ms: 2 };
  const { bars, between } = timeline({ hops: [coded], elapsed_ms: 10 });
  expect(bars[0]?.wait).toEqual({ left: 10, width: 20 });
  expect(bars[0]?.serialisation).toEqual([
    { left: 30, width: 10 },
    { left: 70, width: 20 },
  ]);
  expect(between).toBe(2);
});

test("work continues after an early reply", () => {
  const { whole, answer } = timeline({ hops: [hop(0, 0, 1), hop(1, 0, 3)], elapsed_ms: 1 });
  expect([whole, answer]).toEqual([4, 25]);
});

test("a stream has a first message, if it has any", () => {
  const hops = [hop(0, 0, 9)];
  const first = (first_ms: number | null) =>
    timeline({ hops, elapsed_ms: 10, stream: { messages: 3, first_ms } });
  expect(first(4).first).toBe(40);
  expect(first(null).first).toBeNull();
  expect(timeline({ hops, elapsed_ms: 10 }).first).toBeNull();
});

test("a request without hops", () => {
  expect(timeline({ hops: [], elapsed_ms: 0 }).bars).toEqual([]);
});

test.each([
  [10, [0, 5, 10]],
  [3.2, [0, 1, 2, 3]],
  [0.9, [0, 0.5]],
  [80, [0, 20, 40, 60, 80]],
])("marks to %s", (whole, expected) => expect(marks(whole)).toEqual(expected));
