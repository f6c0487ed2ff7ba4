/** The typed client of the API. An error response becomes a `Refused` with the API's message and hint. */

import createClient, { type Middleware } from "openapi-fetch";
import type { Error as ErrorBody, ErrorCode, Problem, paths } from "./schema";

export const BASE = "/api/v1";

export class Refused extends Error {
  override name = "Refused";
  readonly status: number;
  readonly code: ErrorCode | "unreachable";
  readonly hint: string | undefined;
  readonly problems: Problem[];

  constructor(status: number, body: Partial<Omit<ErrorBody, "code">> & { code?: ErrorCode | "unreachable" }) {
    super(body.message ?? `the server answered ${status}`);
    this.status = status;
    this.code = body.code ?? "internal";
    this.hint = body.hint;
    this.problems = body.problems ?? [];
  }
}

let csrf: string | null = null;

/** Stores the token that every changing request must carry. */
export function keepCsrfToken(token: string | null) {
  csrf = token;
}

export function csrfHeaders(): Record<string, string> {
  return csrf ? { "x-csrf-token": csrf } : {};
}

const headers: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET" && csrf) request.headers.set("x-csrf-token", csrf);
    return request;
  },
};

async function reach(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(0, {
      code: "unreachable",
      message: "the server cannot be reached",
      hint: "is `krt` still running?",
    });
  }
}

export const client = createClient<paths>({ baseUrl: BASE, fetch: reach });
client.use(headers);

/** Returns the data of a response, or throws a `Refused`. */
export async function take<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  throw new Refused(response.status, isBody(error) ? error : {});
}

function isBody(value: unknown): value is ErrorBody {
  return typeof value === "object" && value !== null && "message" in value;
}

/** Converts any thrown value to a `Refused`. */
export function refused(error: unknown): Refused {
  if (error instanceof Refused) return error;
  return new Refused(0, { message: error instanceof Error ? error.message : String(error) });
}
