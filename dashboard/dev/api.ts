/** The API of `krt serve` as a mock, made from the contract: for development and for tests in the browser. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type {
  Error as ApiError,
  ChangePassword,
  Event,
  Log,
  Me,
  NewBoard,
  Problem,
  Request,
  Role,
  Version,
} from "../src/api/schema";
import { madeWith } from "../src/lib/tokens.ts";
import { random, stamp } from "./random.ts";
import { summary, windows } from "./series.ts";
import * as world from "./world.ts";

type Reply = (context: Context) => unknown;

interface Context {
  request: IncomingMessage;
  response: ServerResponse;
  params: Record<string, string>;
  query: URLSearchParams;
  body: Buffer;
  me: Me | null;
}

/** What is thrown to refuse. */
class Refusal {
  readonly status: number;
  readonly error: ApiError;

  constructor(status: number, error: ApiError) {
    this.status = status;
    this.error = error;
  }
}

const RANKS: Role[] = ["viewer", "manager", "admin"];
const sessions = new Map<string, Me>();
const listeners = new Set<(event: Event) => void>();
let failures = 0;

function tell(
  kind: Event["kind"],
  runtime: string | null = null,
  version: string | null = null,
  state: Event["state"] = null,
) {
  for (const listener of listeners) listener({ kind, runtime, version, state, time: stamp(Date.now()) });
}

function refuse(
  status: number,
  code: ApiError["code"],
  message: string,
  hint?: string,
  problems?: Problem[],
): never {
  throw new Refusal(status, { code, message, ...(hint ? { hint } : {}), ...(problems ? { problems } : {}) });
}

function json<T>(context: Context): T {
  try {
    return JSON.parse(context.body.toString() || "{}") as T;
  } catch {
    return refuse(400, "invalid", "the body is not JSON");
  }
}

function findVersion({ params }: Context): Version {
  const found = world.versions.find((one) => one.runtime === params.runtime && one.name === params.version);
  return found ?? refuse(404, "not_found", `no version \`${params.version}\` in \`${params.runtime}\``);
}

function findRuntime({ params }: Context) {
  const id = params.runtime ?? "";
  if (!world.runtimes.some((one) => one.id === id)) refuse(404, "not_found", `no runtime \`${id}\``);
  return world.count(id);
}

function change(version: Version, state: Version["state"]) {
  version.state = state;
  version.actions = world.actions(state);
  version.changed = stamp(Date.now());
  tell("version", version.runtime, version.name, state);
}

function audited(
  context: Context,
  action: Parameters<typeof world.note>[0]["action"],
  comment?: string,
  subject: string | null = null,
) {
  world.note({
    login: context.me?.login ?? "krt",
    action,
    runtime: context.params.runtime ?? null,
    version: context.params.version ?? null,
    subject,
    comment: comment ?? json<{ comment?: string }>(context).comment ?? "",
  });
}

function act(action: string): Reply {
  return (context) => {
    const version = findVersion(context);
    if (!version.actions.includes(action as "start"))
      refuse(
        409,
        "conflict",
        `\`${version.name}\` is ${version.state}`,
        `a version in this state allows: ${version.actions.join(", ") || "nothing yet"}`,
      );
    switch (action) {
      case "start":
        if (version.missing_config.length)
          refuse(
            422,
            "unprocessable",
            `\`${version.name}\` lacks ${version.missing_config.map((name) => `\`${name}\``).join(", ")}`,
            "give the values on the version's page, Configuration",
          );
        audited(context, "version_started");
        change(version, "STARTING");
        setTimeout(() => change(version, "STARTED"), 1500);
        break;
      case "stop":
        audited(context, "version_stopped");
        change(version, "STOPPING");
        setTimeout(() => change(version, "STOPPED"), 900);
        break;
      case "publish": {
        audited(context, "version_published");
        const before = world.versions.find(
          (one) => one.runtime === version.runtime && one.state === "PUBLISHED",
        );
        if (before) change(before, "STARTED");
        version.published_at = stamp(Date.now());
        version.published_by = context.me?.login ?? null;
        change(version, "PUBLISHED");
        break;
      }
      case "unpublish":
        audited(context, "version_unpublished");
        change(version, "STARTED");
        break;
    }
    return version;
  };
}

const BROKEN: Problem[] = [
  {
    severity: "error",
    file: "krt.yml",
    line: 1,
    column: 10,
    message: "the version's name `Digits v6` is not a name",
    hint: "use lowercase letters, digits and `-`, at most 19 characters",
  },
  {
    severity: "error",
    file: "krt.yml",
    line: 14,
    column: 10,
    message: "`src/modle/main.py` does not exist",
    hint: "did you mean `src/model/main.py`?",
  },
  {
    severity: "error",
    file: "public_input.proto",
    line: 8,
    column: 24,
    message: "the message `ClasifyRequest` is not found",
    hint: null,
  },
  {
    severity: "warning",
    file: "krt.yml",
    line: 9,
    column: 5,
    message: "the node `archive` is in no workflow",
    hint: "add it to a workflow's `sequential`, or remove it",
  },
];

function upload(context: Context) {
  const runtime = findRuntime(context);
  if (context.body.length < 20)
    refuse(
      422,
      "invalid_package",
      "the package has 3 errors and 1 warning",
      "`krt check` shows the same on your machine",
      BROKEN,
    );
  const text = context.body.subarray(0, 40).toString();
  const name = /name=([a-z0-9-]+)/.exec(text)?.[1] ?? `${runtime.id}-v${runtime.versions + 1}`;
  if (world.versions.some((one) => one.runtime === runtime.id && one.name === name))
    refuse(409, "conflict", `there is a version \`${name}\` already`, "give it another name in krt.yml");
  const made = world.version(runtime.id, name, "CREATED", 0, {
    created_by: context.me?.login ?? "?",
    package_bytes: context.body.length,
    description: "Just uploaded.",
  });
  made.changed = made.created;
  world.versions.unshift(made);
  context.params.version = name;
  audited(context, "version_created", context.query.get("comment") ?? "");
  tell("version", runtime.id, name, "CREATED");
  context.response.statusCode = 201;
  return made;
}

const GRAVITY = ["DEBUG", "INFO", "WARN", "ERROR"];

function logFilter(query: URLSearchParams): (log: Log) => boolean {
  const text = query.get("text")?.toLowerCase();
  const level = GRAVITY.indexOf(query.get("level") ?? "DEBUG");
  const is = (name: string, value: string | null) => !query.get(name) || query.get(name) === value;
  const [from, to] = [query.get("from"), query.get("to")];
  return (log) =>
    GRAVITY.indexOf(log.level) >= level &&
    is("version", log.version) &&
    is("node", log.node) &&
    is("workflow", log.workflow) &&
    is("request", log.request) &&
    (!from || log.time >= from) &&
    (!to || log.time < to) &&
    (!text || log.message.toLowerCase().includes(text));
}

/** A page of what is newest first. */
function page<T>(items: T[], query: URLSearchParams, usual: number): { items: T[]; next: string | null } {
  const start = Number(query.get("cursor") ?? 0);
  const limit = Number(query.get("limit") ?? usual);
  const next = start + limit < items.length ? String(start + limit) : null;
  return { items: items.slice(start, start + limit), next };
}

function searchLogs(context: Context) {
  const { id } = findRuntime(context);
  const found = (world.logs[id] ?? []).filter(logFilter(context.query)).reverse();
  const { items, next } = page(found, context.query, 200);
  return { logs: items, next };
}

function searchRequests(context: Context) {
  const { id } = findRuntime(context);
  const { query } = context;
  const is = (name: string, value: string) => !query.get(name) || query.get(name) === value;
  const all = world.requests[id] ?? [];
  const found = all.filter(
    (one) => is("version", one.version) && is("workflow", one.workflow) && is("ending", one.ending),
  );
  if (query.get("order") === "slowest") found.sort((a, b) => b.elapsed_ms - a.elapsed_ms);
  else found.reverse();
  const { items, next } = page(found, query, 100);
  return { requests: items, next, kept: all.length };
}

function points(request: Request) {
  const common = { workflow: request.workflow, version: request.version };
  return [
    ...request.hops
      .filter((hop) => hop.outcome === "ok")
      .map((hop, i) => ({
        measurement: "node_elapsed_time",
        time: stamp(Date.parse(request.start) + hop.start_ms + hop.handler_ms),
        tags: { ...common, node: hop.node },
        fields: {
          tracking_id: request.id,
          node_from: request.hops[i - 1]?.node ?? "entrypoint",
          elapsed_ms: hop.handler_ms,
          waiting_ms: hop.waiting_ms,
        },
      })),
    ...(request.ending === "answered"
      ? [
          {
            measurement: "workflow_elapsed_time",
            time: stamp(Date.parse(request.start) + request.elapsed_ms),
            tags: common,
            fields: { tracking_id: request.id, elapsed_ms: request.elapsed_ms },
          },
        ]
      : []),
  ];
}

/** Those of the second workflow keep what they were asked. */
function saved(request: Request) {
  const hop = request.hops.at(-1);
  if (!hop || request.ending !== "answered" || request.workflow !== "evaluate")
    return { documents: [], predictions: [], saved: 0 };
  const id = { $oid: request.id.replaceAll("-", "").slice(0, 24) };
  const document = { _id: id, image: 7, label: "7" };
  return {
    documents: [{ node: hop.node, collection: "evaluations", id, document, bytes: 58 }],
    predictions: [
      {
        id: id.$oid,
        time: request.start,
        version: request.version,
        request: request.id,
        predicted: "7",
        true_value: "7",
        updated: null,
        error: null,
        extra: null,
      },
    ],
    saved: 2,
  };
}

function oneRequest(context: Context) {
  const { id } = findRuntime(context);
  const request = world.requests[id]?.find((one) => one.id === context.params.id);
  if (!request) return refuse(404, "not_found", `no such request among those that are kept`);
  return {
    request,
    logs: world.logs[id]?.filter((log) => log.request === request.id) ?? [],
    points: points(request),
    ...saved(request),
  };
}

function call(context: Context) {
  const version = findVersion(context);
  const { method, message } = json<{ method: string; message: Record<string, unknown> }>(context);
  if (version.state !== "STARTED" && version.state !== "PUBLISHED")
    refuse(503, "unavailable", `\`${version.name}\` is ${version.state}`, "start it first");
  const request = world.makeRequest(version.runtime, version.name, Date.now());
  const pixels = message.pixels;
  const wrong = Array.isArray(pixels) && pixels.length !== 64;
  request.ending = wrong ? "failed" : "answered";
  request.error = wrong
    ? `error in 'etl': an image has 64 pixels, not ${(pixels as unknown[]).length}`
    : null;
  request.hops = request.hops
    .slice(0, wrong ? 1 : 9)
    .map((hop) => ({ ...hop, outcome: wrong ? "error" : "ok" }));
  world.requests[version.runtime]?.push(request);
  world.logs[version.runtime]?.push(...world.makeLogs(version.runtime, request));
  const answers: Record<string, unknown> = {
    Classify: {
      digit: 0,
      confidence: 0.99982,
      probabilities: [0.99982, 0, 0, 0, 0.00001, 0.0001, 0.00007, 0, 0, 0],
    },
    Evaluate: { verdict: "CORRECT", predicted: "0", label: "0" },
    Greet: { text: `Hello, ${message.name}!` },
  };
  const name = method.split("/").pop() ?? "";
  return {
    ok: !wrong,
    code: wrong ? "INTERNAL" : "OK",
    message: request.error,
    answer: wrong ? null : (answers[name] ?? { euros: 4150 }),
    elapsed_ms: request.elapsed_ms,
    request: request.id,
  };
}

/** How many messages a stream of the mock has; "everybody" is greeted until the client leaves. */
const GREETINGS = 40;

function callLive(context: Context) {
  const version = findVersion(context);
  const { name } = json<{ message: { name?: string } }>(context).message;
  const request = world.makeRequest(version.runtime, version.name, Date.now());
  world.requests[version.runtime]?.push({ ...request, stream: { messages: GREETINGS, first_ms: 0.4 } });
  return stream(context, (send, end) => {
    send("request", request.id);
    let sent = 0;
    return timer(20, () => {
      if (sent < GREETINGS || name === "everybody") {
        send("message", { text: `Hello, ${name} number ${sent}!` });
        sent += 1;
        return;
      }
      const { id, elapsed_ms } = request;
      send("status", { ok: true, code: "OK", message: null, answer: null, elapsed_ms, request: id });
      end();
    });
  });
}

/** What ends the streams of somebody who has signed out. */
const streams = new Set<{ me: Me | null; end: () => void }>();

/** Opens a stream of events; what `start` returns is called when the client leaves. */
function stream(
  { me, response }: Context,
  start: (send: (event: string, data: unknown, id?: number) => void, end: () => void) => () => void,
) {
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
  });
  response.write(":\n\n");
  const stop = start(
    (event, data, id) =>
      response.write(`event: ${event}\n${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(data)}\n\n`),
    () => response.end(),
  );
  const beat = setInterval(() => response.write(":\n\n"), 15_000);
  const open = {
    me,
    end: () => response.end(`event: end\ndata: ${JSON.stringify({ reason: "the session was ended" })}\n\n`),
  };
  streams.add(open);
  response.on("close", () => {
    streams.delete(open);
    clearInterval(beat);
    stop();
  });
}

function timer(milliseconds: number, work: () => void): () => void {
  const handle = setInterval(work, milliseconds);
  return () => clearInterval(handle);
}

// Requests come in all the time, as on a server that is used.
const tails = new Set<(runtime: string, logs: Log[]) => void>();
function live() {
  const published = world.versions.filter((one) => one.state === "PUBLISHED" && one.runtime !== "greeter");
  for (const version of published) {
    const request = world.makeRequest(version.runtime, version.name, Date.now());
    const lines = world.makeLogs(version.runtime, request);
    const requests = world.requests[version.runtime];
    requests?.push(request);
    if (requests && requests.length > world.KEPT + 1000) requests.splice(0, 1000);
    world.logs[version.runtime]?.push(...lines);
    for (const tail of tails) tail(version.runtime, lines);
  }
}

const ROUTES: [string, Role | "none", Reply][] = [
  [
    "GET /server",
    "none",
    ({ request }) => ({
      version: "0.1.0",
      mode: mode(request),
      public_address: "127.0.0.1:9000",
      public_tls: false,
      sign_in: mode(request) === "serve",
      openid: mode(request) === "serve" ? { name: "the lab's account" } : null,
      limits: { package_bytes: 536870912, message_bytes: 16777216 },
    }),
  ],
  [
    "GET /events",
    "viewer",
    (context) =>
      stream(context, (send) => {
        const listener = (event: Event) => send(event.kind, event);
        listeners.add(listener);
        return () => listeners.delete(listener);
      }),
  ],
  ["GET /session", "viewer", ({ me }) => me],
  [
    "POST /session",
    "none",
    (context) => {
      const { login, password } = json<{ login: string; password: string }>(context);
      const user = world.users.find((one) => one.login === login && !one.disabled);
      if (!user || password !== "correct horse battery") {
        failures += 1;
        if (failures > 5) {
          context.response.setHeader("retry-after", "30");
          refuse(429, "too_many", "too many attempts to sign in", "wait 30 seconds");
        }
        return refuse(401, "unauthenticated", "the name or the password is wrong");
      }
      failures = 0;
      const id = Math.random().toString(36).slice(2);
      const me: Me = { login, role: user.role, csrf_token: `csrf-${id}` };
      sessions.set(id, me);
      context.response.setHeader("set-cookie", `krt_session=${id}; Path=/; HttpOnly; SameSite=Strict`);
      return me;
    },
  ],
  [
    "DELETE /session",
    "viewer",
    ({ me, response }) => {
      for (const [id, one] of sessions) if (one === me) sessions.delete(id);
      for (const open of streams) if (open.me === me) open.end();
      response.setHeader("set-cookie", "krt_session=; Path=/; Max-Age=0");
    },
  ],
  [
    "PUT /session/password",
    "viewer",
    (context) => {
      const { current, revoke_tokens = true } = json<ChangePassword>(context);
      if (current !== "correct horse battery") refuse(422, "unprocessable", "the current password is wrong");
      if (!revoke_tokens) return;
      const stay = world.tokens.filter((one) => one.login !== context.me?.login);
      world.tokens.splice(0, world.tokens.length, ...stay);
      tell("token");
    },
  ],
  [
    "GET /sessions",
    "viewer",
    ({ me }) => {
      const of = (id: string, login: string, agent: string, age: number, current: boolean) => ({
        id,
        login,
        agent,
        current,
        created: stamp(world.BORN - age),
        used: stamp(world.BORN - age / 9),
        expires: stamp(world.BORN + 7 * world.DAY),
      });
      const all = [
        of("s1", me?.login ?? "", "Chromium 156 on Linux", 5 * world.MINUTE, true),
        of("s2", me?.login ?? "", "Firefox 151 on macOS", 2 * world.DAY, false),
        of("s3", "grace", "Safari 20 on iOS", 3 * world.HOUR, false),
      ];
      return all.filter((one) => me?.role === "admin" || one.login === me?.login);
    },
  ],
  ["DELETE /sessions/:id", "viewer", () => undefined],
  ["GET /users", "admin", () => world.users],
  [
    "POST /users",
    "admin",
    (context) => {
      const { login, role, password } = json<{ login: string; role: Role; password: string }>(context);
      if (world.users.some((one) => one.login === login))
        refuse(409, "conflict", `there is a user \`${login}\` already`);
      if (password.length < 12)
        refuse(422, "invalid", "the password is too short", "use at least 12 characters");
      const user = {
        login,
        role,
        created: stamp(Date.now()),
        signed_in: null,
        disabled: false,
        openid: false,
      };
      world.users.push(user);
      audited(context, "user_created", "", login);
      tell("user");
      context.response.statusCode = 201;
      return user;
    },
  ],
  [
    "PATCH /users/:login",
    "admin",
    (context) => {
      const user =
        world.users.find((one) => one.login === context.params.login) ??
        refuse(404, "not_found", "no such user");
      const { role, disabled, comment } = json<{ role?: Role; disabled?: boolean; comment?: string }>(
        context,
      );
      if (user.login === context.me?.login && (disabled || (role && role !== "admin")))
        refuse(409, "conflict", "you are the last admin", "make another user an admin first");
      if (role) user.role = role;
      if (disabled !== undefined) user.disabled = disabled;
      audited(context, "user_changed", comment ?? "", user.login);
      tell("user");
      return user;
    },
  ],
  [
    "DELETE /users/:login",
    "admin",
    (context) => {
      world.users.splice(
        world.users.findIndex((one) => one.login === context.params.login),
        1,
      );
      audited(context, "user_deleted", context.query.get("comment") ?? "", context.params.login);
      tell("user");
    },
  ],
  [
    "GET /tokens",
    "viewer",
    ({ me }) => world.tokens.filter((one) => me?.role === "admin" || one.login === me?.login),
  ],
  [
    "POST /tokens",
    "viewer",
    (context) => {
      const { name, role, expires } = json<{ name: string; role: Role; expires?: string | null }>(context);
      const token = {
        id: `t${Date.now()}`,
        name,
        role,
        login: context.me?.login ?? "",
        created: stamp(Date.now()),
        used: null,
        expires: expires ?? null,
        prefix: "krt_m4Qz",
        parent: null,
      };
      world.tokens.push(token);
      audited(context, "token_created", "", name);
      tell("token");
      context.response.statusCode = 201;
      return { token, secret: "krt_m4QzT0p9vYw3Jb5sLr2xNc7dHf8gKe1aUq6iZo" };
    },
  ],
  [
    "DELETE /tokens/:id",
    "viewer",
    ({ params }) => {
      const ended = madeWith(world.tokens, params.id ?? "").map((one) => one.id);
      const stay = world.tokens.filter((one) => one.id !== params.id && !ended.includes(one.id));
      world.tokens.splice(0, world.tokens.length, ...stay);
      tell("token");
    },
  ],
  [
    "GET /audit",
    "admin",
    ({ query }) => {
      const is = (name: string, value: string | null) => !query.get(name) || query.get(name) === value;
      const found = world.audit.filter(
        (one) =>
          is("login", one.login) &&
          is("runtime", one.runtime) &&
          is("version", one.version) &&
          is("action", one.action),
      );
      const { items, next } = page(found, query, 100);
      return { entries: items, next };
    },
  ],
  [
    "GET /runtimes",
    "viewer",
    ({ request }) =>
      world.runtimes
        .filter(({ id }) => mode(request) === "serve" || id === "digits")
        .map((one) => world.count(one.id)),
  ],
  [
    "POST /runtimes",
    "admin",
    (context) => {
      const { id, name, description, hosts } = json<{
        id: string;
        name: string;
        description?: string;
        hosts?: string[];
      }>(context);
      if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(id))
        refuse(
          422,
          "invalid",
          `\`${id}\` is not a name`,
          "use lowercase letters, digits and `-`, at most 19 characters",
        );
      if (world.runtimes.some((one) => one.id === id))
        refuse(409, "conflict", `there is a runtime \`${id}\` already`);
      world.runtimes.push({
        id,
        name,
        description: description ?? "",
        hosts: hosts ?? [],
        created: stamp(Date.now()),
        published: null,
        versions: 0,
        states: {},
      });
      world.requests[id] = [];
      world.logs[id] = [];
      context.params.runtime = id;
      audited(context, "runtime_created");
      tell("runtime", id);
      context.response.statusCode = 201;
      return world.count(id);
    },
  ],
  ["GET /runtimes/:runtime", "viewer", findRuntime],
  ["GET /runtimes/:runtime/stores", "viewer", (context) => world.stores(findRuntime(context).id)],
  [
    "PATCH /runtimes/:runtime",
    "admin",
    (context) => {
      const found = world.runtimes.find((one) => one.id === findRuntime(context).id);
      const { comment, ...rest } = json<{ comment?: string; name?: string }>(context);
      if (found) Object.assign(found, rest);
      audited(context, "runtime_changed", comment);
      tell("runtime", context.params.runtime);
      return findRuntime(context);
    },
  ],
  [
    "DELETE /runtimes/:runtime",
    "admin",
    (context) => {
      const runtime = findRuntime(context);
      if (world.versions.some((one) => one.runtime === runtime.id && !one.actions.includes("delete")))
        refuse(409, "conflict", `versions of \`${runtime.id}\` run`, "stop them first");
      world.runtimes.splice(
        world.runtimes.findIndex((one) => one.id === runtime.id),
        1,
      );
      tell("deleted", runtime.id);
    },
  ],
  [
    "POST /runtimes/:runtime/rollback",
    "manager",
    (context) => {
      const earlier = world.versions.find(
        (one) => one.runtime === context.params.runtime && one.state === "STARTED",
      );
      if (!earlier) return refuse(409, "conflict", "no version was published before");
      context.params.version = earlier.name;
      return act("publish")(context);
    },
  ],
  [
    "GET /runtimes/:runtime/versions",
    "viewer",
    (context) => {
      const { id } = findRuntime(context);
      return world.versions.filter((one) => one.runtime === id);
    },
  ],
  ["POST /runtimes/:runtime/versions", "manager", upload],
  ["GET /runtimes/:runtime/versions/:version", "viewer", findVersion],
  [
    "DELETE /runtimes/:runtime/versions/:version",
    "manager",
    (context) => {
      const version = findVersion(context);
      world.versions.splice(world.versions.indexOf(version), 1);
      audited(context, "version_deleted", context.query.get("comment") ?? "");
      tell("deleted", version.runtime, version.name);
    },
  ],
  ...["start", "stop", "publish", "unpublish"].map((action): [string, Role, Reply] => [
    `POST /runtimes/:runtime/versions/:version/${action}`,
    "manager",
    act(action),
  ]),
  [
    "GET /runtimes/:runtime/versions/:version/config",
    "viewer",
    (context) => {
      findVersion(context);
      if (context.params.runtime !== "digits") return [];
      return context.me?.role === "viewer" ? world.config.map(({ value: _, ...rest }) => rest) : world.config;
    },
  ],
  [
    "PUT /runtimes/:runtime/versions/:version/config",
    "manager",
    (context) => {
      const version = findVersion(context);
      for (const [name, value] of Object.entries(
        json<{ values: Record<string, string | null> }>(context).values,
      )) {
        const entry = world.config.find((one) => one.name === name);
        if (entry) Object.assign(entry, { value, set: value !== null, inherited_from: null });
      }
      version.missing_config = world.config.filter((one) => !one.set).map((one) => one.name);
      audited(context, "config_changed");
      tell("config", version.runtime, version.name);
      return world.config;
    },
  ],
  [
    "GET /runtimes/:runtime/versions/:version/graph",
    "viewer",
    (context) => world.makeGraph(findVersion(context), Number(context.query.get("window_seconds") ?? 60)),
  ],
  [
    "GET /runtimes/:runtime/versions/:version/graph/live",
    "viewer",
    (context) => {
      const version = findVersion(context);
      const send = (out: (event: string, data: unknown) => void) =>
        out("graph", world.makeGraph(version, Number(context.query.get("window_seconds") ?? 60)));
      return stream(context, (out) => {
        send(out);
        return timer(1000, () => send(out));
      });
    },
  ],
  [
    "GET /runtimes/:runtime/versions/:version/docs",
    "viewer",
    (context) =>
      findVersion(context).has_docs
        ? { html: world.DOCS, title: "digits" }
        : refuse(404, "not_found", "the package has no `docs/README.md`"),
  ],
  [
    "GET /runtimes/:runtime/versions/:version/docs/files/:path",
    "viewer",
    ({ response }) => {
      response.setHeader("content-type", "image/svg+xml");
      response.end(world.PICTURE);
    },
  ],
  [
    "GET /runtimes/:runtime/versions/:version/methods",
    "viewer",
    (context) => world.makeMethods(findVersion(context).runtime),
  ],
  ["POST /runtimes/:runtime/versions/:version/call", "manager", call],
  ["POST /runtimes/:runtime/versions/:version/call/live", "manager", callLive],
  ["GET /runtimes/:runtime/logs", "viewer", searchLogs],
  [
    "GET /runtimes/:runtime/logs/tail",
    "viewer",
    (context) => {
      const { id } = findRuntime(context);
      const fits = logFilter(context.query);
      return stream(context, (send) => {
        const tail = (runtime: string, logs: Log[]) => {
          const found = runtime === id ? logs.filter(fits) : [];
          if (found.length) send("logs", found, found.at(-1)?.id);
        };
        tails.add(tail);
        return () => tails.delete(tail);
      });
    },
  ],
  ["GET /runtimes/:runtime/requests", "viewer", searchRequests],
  ["GET /runtimes/:runtime/requests/:id", "viewer", oneRequest],
  ["GET /runtimes/:runtime/measurements", "viewer", (context) => windows.catalogue(findRuntime(context).id)],
  [
    "GET /runtimes/:runtime/measurements/:measurement/windows",
    "viewer",
    (context) => windows.read(context.params.runtime ?? "", context.params.measurement ?? "", context.query),
  ],
  [
    "GET /runtimes/:runtime/boards",
    "viewer",
    ({ params }) => (params.runtime === "digits" ? world.boards : []),
  ],
  [
    "POST /runtimes/:runtime/boards",
    "manager",
    (context) => {
      const board = {
        ...json<NewBoard>(context),
        charts: json<NewBoard>(context).charts,
        id: `b${Date.now()}`,
        changed: stamp(Date.now()),
        changed_by: context.me?.login ?? "",
      };
      world.boards.push(board);
      audited(context, "board_saved", "", board.name);
      tell("board", context.params.runtime);
      context.response.statusCode = 201;
      return board;
    },
  ],
  [
    "GET /runtimes/:runtime/boards/:id",
    "viewer",
    ({ params }) =>
      world.boards.find((one) => one.id === params.id) ?? refuse(404, "not_found", "no such board"),
  ],
  [
    "PUT /runtimes/:runtime/boards/:id",
    "manager",
    (context) => {
      const board =
        world.boards.find((one) => one.id === context.params.id) ?? refuse(404, "not_found", "no such board");
      Object.assign(board, json<NewBoard>(context), {
        changed: stamp(Date.now()),
        changed_by: context.me?.login,
      });
      tell("board", context.params.runtime);
      return board;
    },
  ],
  [
    "DELETE /runtimes/:runtime/boards/:id",
    "manager",
    ({ params }) => {
      world.boards.splice(
        world.boards.findIndex((one) => one.id === params.id),
        1,
      );
      tell("board", params.runtime);
    },
  ],
  [
    "GET /runtimes/:runtime/predictions",
    "viewer",
    (context) => summary.list(findRuntime(context).id, context.query),
  ],
  [
    "GET /runtimes/:runtime/predictions/summary",
    "viewer",
    (context) => summary.read(findRuntime(context).id, context.query),
  ],
];

/** By the name `run.localhost` it is as `krt run` is: one package, nobody signs in, nothing changes. */
function mode(request: IncomingMessage): "serve" | "run" {
  return request.headers.host?.startsWith("run.") ? "run" : "serve";
}

const ALONE = "digits-v4";

/** In `krt run` the runtime has the version's name. */
function alone(text: string): string {
  return text
    .replaceAll('"runtime":"digits"', `"runtime":"${ALONE}"`)
    .replaceAll('"id":"digits"', `"id":"${ALONE}"`);
}

/** Finds the route of a path; a parameter named `path` takes slashes, too. */
function match(method: string, path: string): [Role | "none", Reply, Record<string, string>] | null {
  for (const [pattern, role, reply] of ROUTES) {
    const names: string[] = [];
    const source = pattern.replace(/:(\w+)/g, (_, name: string) => {
      names.push(name);
      return name === "path" ? "(.+)" : "([^/]+)";
    });
    const found = new RegExp(`^${source}$`).exec(`${method} ${path}`);
    if (found)
      return [
        role,
        reply,
        Object.fromEntries(names.map((name, i) => [name, decodeURIComponent(found[i + 1] ?? "")])),
      ];
  }
  return null;
}

function body(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => resolve(Buffer.concat(parts)));
    request.on("error", reject);
  });
}

function whoAsks(request: IncomingMessage): Me | null {
  if (mode(request) === "run") return { login: "", role: "manager", csrf_token: null };
  return sessions.get(/krt_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1] ?? "") ?? null;
}

async function answer(request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? "/", "http://mock");
  const run = mode(request) === "run";
  const path = run ? url.pathname.replace(`/runtimes/${ALONE}`, "/runtimes/digits") : url.pathname;
  const found = match(request.method ?? "GET", path);
  if (!found) return refuse(404, "not_found", `no ${url.pathname}`);
  const [role, reply, params] = found;
  const me = whoAsks(request);
  if (role !== "none" && !me) refuse(401, "unauthenticated", "not signed in");
  if (me && role !== "none" && RANKS.indexOf(me.role) < RANKS.indexOf(role))
    refuse(403, "forbidden", `this needs the role ${role}, \`${me.login}\` is ${me.role}`, "ask an admin");
  if (
    me?.csrf_token &&
    request.method !== "GET" &&
    role !== "none" &&
    request.headers["x-csrf-token"] !== me.csrf_token
  )
    refuse(403, "forbidden", "the CSRF token is missing or wrong");
  const result = reply({ request, response, params, query: url.searchParams, body: await body(request), me });
  if (response.headersSent) return;
  if (result === undefined) {
    response.statusCode = 204;
    return response.end();
  }
  response.setHeader("content-type", "application/json");
  response.end(run ? alone(JSON.stringify(result)) : JSON.stringify(result));
}

/** A middleware that answers below `/api/v1`. */
export function api() {
  const pace = random(1);
  const beat = () => {
    live();
    setTimeout(beat, 100 + pace() * 500).unref();
  };
  beat();
  return (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch((error: unknown) => {
      const refusal =
        error instanceof Refusal ? error : new Refusal(500, { code: "internal", message: String(error) });
      response.statusCode = refusal.status;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(refusal.error));
    });
  };
}
