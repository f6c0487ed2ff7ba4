/** The counterpart of `jsx-runtime.ts` for development builds. */

import type { ElementType, Key, ReactElement } from "react";
import * as react from "react/jsx-dev-runtime";
import { shown } from "./props";

export type { JSX } from "react/jsx-dev-runtime";
export { Fragment } from "react/jsx-dev-runtime";

export function jsxDEV(
  type: ElementType,
  props: unknown,
  key: Key | undefined,
  isStatic: boolean,
  source?: react.JSXSource,
  self?: unknown,
): ReactElement {
  return react.jsxDEV(type, shown(props), key, isStatic, source, self);
}
