/** Calls that are answered message by message, as server-sent events in the response to a POST. */

import { client, take } from "./client";
import type { Call } from "./schema";

export interface ServerEvent {
  name: string;
  data: string;
}

/** Calls a method, and yields the events of the answer. To abort `signal` cancels the call. */
export async function* callLive(
  path: { runtime: string; version: string },
  body: Call,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  const stream = await take(
    client.POST("/runtimes/{runtime}/versions/{version}/call/live", {
      params: { path },
      body,
      signal,
      parseAs: "stream",
    }),
  );
  if (!stream) return;
  const reader = stream.getReader();
  const [decoder, events] = [new TextDecoder(), new EventParser()];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield* events.add(decoder.decode(value, { stream: true }));
  }
}

/** Parses text that arrives in parts into events. Lines end with LF, as the server writes them. */
export class EventParser {
  #rest = "";

  /** Returns the events that are complete with this part. */
  add(part: string): ServerEvent[] {
    const blocks = (this.#rest + part).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(parse).filter((event) => event !== null);
  }
}

function parse(block: string): ServerEvent | null {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [field, value] = split(line);
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  }
  return data.length ? { name, data: data.join("\n") } : null;
}

function split(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
}
