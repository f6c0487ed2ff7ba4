/** A `krt` that serves on free ports of the loopback. */

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Started {
  /** Host and port of clients. */
  clients: string;
  /** The dashboard's URL. */
  dashboard: string;
  /** Lets it end what it has in flight. */
  stop: () => Promise<void>;
}

/** Starts it, and waits until it says where it listens; the dashboard on a port of its own, or on that one. */
export async function started(
  krt: string,
  args: string[],
  env: Record<string, string> = {},
  port = 0,
): Promise<Started> {
  const server = spawn(krt, [...args, "--listen", "127.0.0.1:0", "--dashboard", `127.0.0.1:${port}`], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<void>((done) => server.once("exit", () => done()));
  const stop = () => {
    server.kill("SIGTERM");
    return ended;
  };
  return { ...(await addresses(server)), stop };
}

/** What the server says about where it listens. */
function addresses(server: ChildProcess): Promise<{ clients: string; dashboard: string }> {
  return new Promise((done, fail) => {
    const lines: string[] = [];
    let clients: string | undefined;
    let dashboard: string | undefined;
    const read = (line: string) => {
      lines.push(line);
      clients ??= /listening on (\S+:\d+)/.exec(line)?.[1];
      dashboard ??= /dashboard is at (https?:\/\/[^\s"]+)/.exec(line)?.[1];
      if (clients && dashboard) done({ clients, dashboard });
    };
    for (const stream of [server.stdout, server.stderr]) if (stream) createInterface(stream).on("line", read);
    server.once("exit", (code) => fail(new Error(`krt ended with ${code}:\n${lines.join("\n")}`)));
  });
}
