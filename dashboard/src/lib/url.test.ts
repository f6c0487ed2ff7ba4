import { expect, test } from "vitest";
import { changed, oneOf } from "./url";

test("null and the empty text remove a parameter", () => {
  const before = new URLSearchParams("text=a&level=WARN&tag=x&tag=y");
  expect(changed(before, { text: "", level: null }).toString()).toBe("tag=x&tag=y");
});

test("a list becomes several parameters", () => {
  const before = new URLSearchParams("tag=x");
  expect(changed(before, { tag: ["a:1", "b:2"] }).getAll("tag")).toEqual(["a:1", "b:2"]);
});

test("unknown words are refused", () => {
  expect(oneOf("latest", ["latest", "slowest"])).toBe("latest");
  expect(oneOf("fastest", ["latest", "slowest"])).toBeUndefined();
});
