/** The lines on the page of logs: newest first, without duplicates, bounded. Pure. */

import type { Log } from "../../api/schema";

export const MOST = 20_000;

/** Adds live lines, oldest first. */
export function arrived(lines: readonly Log[], incoming: readonly Log[], most = MOST): readonly Log[] {
  if (incoming.length === 0) return lines;
  const newest = lines[0]?.id ?? -1;
  const fresh = incoming.filter(({ id }) => id > newest).reverse();
  const late = fresh.length < incoming.length ? incoming.filter(({ id }) => id <= newest) : [];
  return merge([...fresh, ...lines], late).slice(0, most);
}

/** Adds a page of older lines, newest first. */
export function older(lines: readonly Log[], page: readonly Log[]): readonly Log[] {
  return merge(lines, page);
}

function merge(lines: readonly Log[], others: readonly Log[]): readonly Log[] {
  if (others.length === 0) return lines;
  const last = lines.at(-1);
  const first = others[0];
  if (!last || (first && first.id < last.id)) return [...lines, ...others];
  const known = new Set(lines.map(({ id }) => id));
  const fresh = others.filter(({ id }) => !known.has(id));
  return fresh.length ? [...lines, ...fresh].sort((a, b) => b.id - a.id) : lines;
}
