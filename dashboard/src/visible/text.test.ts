import { expect, test } from "vitest";
import { visible } from "./text";

test("hidden characters are shown by their code", () => {
  for (const [text, expected] of [
    ["naïve ☃ 日本 ❤\ufe0f e\u0301", "naïve ☃ 日本 ❤\ufe0f e\u0301"],
    ["a\tb\nc", "a\tb\nc"],
    ["user\u202egpj.exe", "user\\u{202e}gpj.exe"],
    ["a\u200bb\u2066\u2069\ufeff", "a\\u{200b}b\\u{2066}\\u{2069}\\u{feff}"],
    ["\x1b[31m\r\x9b\x7f", "\\u{1b}[31m\\u{d}\\u{9b}\\u{7f}"],
    ["\u{e0041}", "\\u{e0041}"],
  ])
    expect(visible(text ?? "")).toBe(expected);
});
