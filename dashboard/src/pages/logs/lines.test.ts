import { expect, test } from "vitest";
import type { Log } from "../../api/schema";
import { arrived, older } from "./lines";

const logs = (...ids: number[]) => ids.map((id) => ({ id }) as Log);
const ids = (lines: readonly Log[]) => lines.map(({ id }) => id);

test.each([
  ["newer lines go to the top", [3, 2], [4, 5], [5, 4, 3, 2]],
  ["into an empty list", [], [1, 2], [2, 1]],
  ["known lines are not added twice", [3, 2], [2, 3, 4], [4, 3, 2]],
  ["late lines are sorted in", [5, 2], [3, 6], [6, 5, 3, 2]],
])("arrived: %s", (_, lines, incoming, result) => {
  expect(ids(arrived(logs(...lines), logs(...incoming)))).toEqual(result);
});

test("the oldest lines are dropped", () => {
  expect(ids(arrived(logs(3, 2, 1), logs(4, 5), 3))).toEqual([5, 4, 3]);
});

test.each([
  [
    [9, 8],
    [7, 6],
    [9, 8, 7, 6],
  ],
  [
    [9, 8, 7],
    [8, 7, 6],
    [9, 8, 7, 6],
  ],
  [[], [2, 1], [2, 1]],
  [[2], [], [2]],
])("older: %s and %s", (lines, page, result) => {
  expect(ids(older(logs(...lines), logs(...page)))).toEqual(result);
});
