/** Tokens made with other tokens, which end with them. */

import type { Token } from "../api/schema";

/** The tokens made with this one, directly or indirectly. */
export function madeWith(tokens: readonly Token[], id: string): Token[] {
  const children = tokens.filter((one) => one.parent === id);
  return children.flatMap((child) => [child, ...madeWith(tokens, child.id)]);
}
