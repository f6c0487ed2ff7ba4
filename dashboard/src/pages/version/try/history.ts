/** Recent calls from this browser, by runtime. Not stored on the server: messages may be confidential. */

import { useCallback, useState } from "react";
import type { CallResult } from "../../../api/schema";
import type { Fields } from "./message";

export interface Past {
  time: string;
  version: string;
  method: string;
  message: Fields;
  code: CallResult["code"];
  ok: boolean;
  elapsed_ms: number;
  request: string | null;
}

const MOST = 30;
/** Longer messages would use up the browser's few megabytes. */
const LONGEST = 64_000;

const key = (runtime: string) => `krt-calls:${runtime}`;

function read(runtime: string): Past[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key(runtime)) ?? "[]");
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

export function useHistory(runtime: string): { past: Past[]; add: (one: Past) => void; clear: () => void } {
  const [past, setPast] = useState(() => read(runtime));
  const keep = useCallback(
    (next: Past[]) => {
      setPast(next);
      try {
        const short = next.filter(({ message }) => JSON.stringify(message).length <= LONGEST);
        localStorage.setItem(key(runtime), JSON.stringify(short));
      } catch {
        // Without storage the history lasts until the page closes.
      }
    },
    [runtime],
  );
  return { past, add: (one) => keep([one, ...past].slice(0, MOST)), clear: () => keep([]) };
}
