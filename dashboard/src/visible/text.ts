/**
 * Makes foreign text safe to display: characters that are invisible, or that reorder text, appear as their
 * code. Names, logs and messages come from clients, packages and user code. The characters are those of
 * `crates/model/src/escape.rs`.
 */

// Control characters, line and paragraph separators, and ignorable characters, except variation selectors.
const HIDDEN = /(?![\t\n]|\p{Variation_Selector})[\p{Cc}\p{Zl}\p{Zp}\p{DI}\ufff9-\ufffb]/gu;

/** Writes a hidden character as `\u{202e}`. Tabs and line breaks stay. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (hidden) => `\\u{${hidden.codePointAt(0)?.toString(16)}}`);
}
