/**
 * React's JSX runtime, which makes all text that a page passes to an element visible. `tsconfig.json` and
 * `vite.config.ts` name it. A component that returns a bare string must wrap it in a fragment.
 */

import type { ElementType, Key, ReactElement } from "react";
import * as react from "react/jsx-runtime";
import { shown } from "./props";

export type { JSX } from "react/jsx-runtime";
export { Fragment } from "react/jsx-runtime";

export function jsx(type: ElementType, props: unknown, key?: Key): ReactElement {
  return react.jsx(type, shown(props), key);
}

export function jsxs(type: ElementType, props: unknown, key?: Key): ReactElement {
  return react.jsxs(type, shown(props), key);
}
