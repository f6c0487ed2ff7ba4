import { expect, test } from "vitest";
import type { Token } from "../api/schema";
import { madeWith } from "./tokens";

const token = (id: string, parent: string | null) => ({ id, parent }) as Token;

test("tokens created with a token are found over generations", () => {
  const tokens = [token("a", null), token("b", "a"), token("c", "b"), token("d", "a"), token("e", null)];
  const ids = (id: string) => madeWith(tokens, id).map((one) => one.id);
  expect(ids("a")).toEqual(["b", "c", "d"]);
  expect(ids("b")).toEqual(["c"]);
  expect(ids("e")).toEqual([]);
});
