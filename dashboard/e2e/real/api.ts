/** The API as its clients see it, for what a test needs and does not look at. */

import { inject } from "vitest";
import type { Me, Role } from "../../src/api/schema";
import { PASSWORD } from "./server";

export class Api {
  readonly #headers: Record<string, string>;

  private constructor(headers: Record<string, string>) {
    this.#headers = headers;
  }

  static async signIn(login: string): Promise<Api> {
    const body = JSON.stringify({ login, password: PASSWORD });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${inject("url")}/api/v1/session`, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(await answer.text());
    const cookie = answer.headers.getSetCookie().map((one) => one.split(";")[0]);
    const me = (await answer.json()) as Me;
    return new Api({ ...headers, cookie: cookie.join("; "), "x-csrf-token": me.csrf_token ?? "" });
  }

  async send<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${inject("url")}/api/v1${path}`, {
      method,
      headers: this.#headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  user(login: string, role: Role) {
    return this.send("POST", "/users", { login, role, password: PASSWORD });
  }

  runtime(id: string, name: string) {
    return this.send("POST", "/runtimes", { id, name, description: `What ${name} is for.` });
  }
}

/** A call of a published version, as its clients make it. */
export function call(runtime: string, path: string, message: string): Promise<Response> {
  return fetch(`http://${inject("public")}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "krt-runtime": runtime },
    body: message,
  });
}
