import { createElement } from "react";
import { expect, test } from "vitest";
import { shown } from "./props";

test("displayed text is escaped, and everything else stays unchanged", () => {
  const element = createElement("b", null, "\u202e");
  const props = {
    children: ["a\u202e", element, ["\u200b", 1]],
    title: "\u2066",
    value: "\u202e",
    id: "x\u202e",
  };
  expect(shown(props)).toEqual({
    children: ["a\\u{202e}", element, ["\\u{200b}", 1]],
    title: "\\u{2066}",
    value: "\u202e",
    id: "x\u202e",
  });
  const plain = { children: ["a", element], title: "b", onClick: () => {} };
  expect(shown(plain)).toBe(plain);
  expect(shown(null)).toBe(null);
});
