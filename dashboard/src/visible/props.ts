/** Makes the text in an element's properties visible. */

import { visible } from "./text";

/** Properties that browsers show or read aloud. Editable values are not among them. */
const SHOWN = ["children", "title", "alt", "placeholder", "label", "aria-label", "aria-description"];

/** Returns the same properties, or a copy if one of their texts has hidden characters. */
export function shown(props: unknown): unknown {
  if (typeof props !== "object" || props === null) return props;
  const given = props as Record<string, unknown>;
  let changed: Record<string, unknown> | undefined;
  for (const name of SHOWN) {
    const value = given[name];
    const seen = show(value);
    if (seen !== value) {
      changed ??= { ...given };
      changed[name] = seen;
    }
  }
  return changed ?? props;
}

function show(value: unknown): unknown {
  if (typeof value === "string") return visible(value);
  if (!Array.isArray(value) || !value.some((part) => show(part) !== part)) return value;
  return value.map(show);
}
