/**
 * What the mock knows: a small team's server with three runtimes, made up but plausible. The types are the
 * contract's, so that a change of the contract is an error here.
 */

import type {
  Action,
  AuditEntry,
  Board,
  ConfigEntry,
  Graph,
  GraphNode,
  Log,
  Methods,
  Request,
  Runtime,
  RuntimeStore,
  State,
  Token,
  User,
  Version,
} from "../src/api/schema";
import { latency, pick, random, stamp } from "./random.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const BORN = Date.now();

const TRACEBACK = `Traceback (most recent call last):
  File "src/etl/main.py", line 14, in handler
    return prepare_classification(ctx, data)
  File "src/etl/main.py", line 20, in prepare_classification
    pixels.check(request.pixels)
  File "src/etl/pixels.py", line 10, in check
    raise ValueError(f"an image has {SIZE} pixels, not {len(pixels)}")
ValueError: an image has 64 pixels, not 63`;

const START_ERROR = `\`model\` failed in \`init\`
Traceback (most recent call last):
  File "src/model/main.py", line 9, in init
    ctx.set("network", Network.load(path))
  File "src/model/network.py", line 21, in load
    with np.load(path, allow_pickle=False) as arrays:
FileNotFoundError: [Errno 2] No such file or directory: 'models/digits.npz'`;

export interface Workflow {
  name: string;
  rpc: string;
  nodes: string[];
  /** Whether answers are taken from a cache. */
  cache?: boolean;
}

export const WORKFLOWS: Record<string, Workflow[]> = {
  digits: [
    { name: "classify", rpc: "Classify", nodes: ["etl", "model", "output"] },
    { name: "evaluate", rpc: "Evaluate", nodes: ["etl", "model", "evaluation"] },
  ],
  greeter: [{ name: "greeting", rpc: "Greet", nodes: ["greeter"] }],
  prices: [
    {
      name: "quote",
      rpc: "Quote",
      nodes: ["normalise", "features", "forest", "rules", "answer"],
      cache: true,
    },
    { name: "explain", rpc: "Explain", nodes: ["normalise", "features", "forest", "explain", "answer"] },
    { name: "retrain", rpc: "Retrain", nodes: ["collect", "features", "train", "report"] },
  ],
};

const LANGUAGES: Record<string, GraphNode["language"]> = {
  normalise: "go",
  features: "rust",
  rules: "go",
  answer: "go",
  collect: "executable",
};

export function actions(state: State): Action[] {
  switch (state) {
    case "CREATED":
    case "STOPPED":
    case "ERROR":
      return ["start", "delete"];
    case "STARTED":
      return ["publish", "stop"];
    case "PUBLISHED":
      return ["unpublish"];
    case "STARTING":
      return ["stop"];
    case "STOPPING":
      return [];
  }
}

export function version(
  runtime: string,
  name: string,
  state: State,
  age: number,
  more: Partial<Version> = {},
): Version {
  const flows = WORKFLOWS[runtime] ?? [];
  const live = state === "PUBLISHED";
  return {
    name,
    runtime,
    description: "",
    state,
    reasons: [],
    actions: actions(state),
    created: stamp(BORN - age),
    created_by: "grace",
    changed: stamp(BORN - age + 4 * MINUTE),
    published_at: live ? stamp(BORN - age + 9 * MINUTE) : null,
    published_by: live ? "ada" : null,
    package_bytes: 61_440 + (age % 7919),
    missing_config: [],
    warnings: [],
    nodes: new Set(flows.flatMap((flow) => flow.nodes)).size,
    workflows: flows.length,
    has_docs: runtime === "digits",
    ...more,
  };
}

const READS = "Reads handwritten digits from images of 8 x 8 pixels.";

export const runtimes: Runtime[] = [
  runtime("digits", "Digits", "Reads handwritten digits, for the post's sorting machines.", 90 * DAY, [
    "digits.example.org",
  ]),
  runtime("greeter", "Greeter", "Greets people by their name.", 41 * DAY),
  runtime("prices", "Prices", "Says what a used car is worth, and why.", 12 * DAY, ["prices.example.org"]),
];

function runtime(id: string, name: string, description: string, age: number, hosts: string[] = []): Runtime {
  return {
    id,
    name,
    description,
    created: stamp(BORN - age),
    published: null,
    hosts,
    versions: 0,
    states: {},
  };
}

/** The runtime `prices` has its data elsewhere; the others have it in the data folder. */
export function stores(id: string): RuntimeStore[] {
  const elsewhere = id === "prices";
  const here = {
    kept_by: "folder" as const,
    address: null,
    database: null,
    up: true,
    reason: null,
    waiting: 0,
    dropped: 0,
    deleted_with_runtime: true,
  };
  if (!elsewhere)
    return [
      { ...here, holds: "documents" },
      { ...here, holds: "measurements" },
    ];
  return [
    {
      ...here,
      holds: "documents",
      kept_by: "mongodb",
      address: "mongodb://db.example.org",
      database: "prices-data",
    },
    {
      ...here,
      holds: "measurements",
      kept_by: "influxdb",
      address: "http://metrics.example.org:8086",
      database: "prices",
      up: false,
      reason: "connection refused",
      waiting: 1280,
      deleted_with_runtime: false,
    },
    { ...here, holds: "messages", kept_by: "nats", address: "nats://nats.example.org:4222" },
  ];
}

export const versions: Version[] = [
  version("digits", "digits-v5", "CREATED", 22 * MINUTE, {
    description: `${READS} Warns by e-mail when the drift grows.`,
    missing_config: ["SMTP_PASSWORD"],
    warnings: [
      {
        severity: "warning",
        file: "krt.yml",
        line: 9,
        column: 5,
        message: "the node `archive` is in no workflow",
        hint: "add it to a workflow's `sequential`, or remove it",
      },
    ],
  }),
  version("digits", "digits-v4", "PUBLISHED", 3 * DAY, { description: READS }),
  version("digits", "digits-v3", "STARTED", 9 * DAY, { description: READS, created_by: "linus" }),
  version("digits", "digits-v2", "ERROR", 17 * DAY, { description: READS, reasons: [START_ERROR] }),
  version("digits", "digits-v1", "STOPPED", 60 * DAY, { description: READS }),
  version("greeter", "greeter-v1", "PUBLISHED", 40 * DAY, { description: "Greets people by their name." }),
  version("prices", "prices-2", "PUBLISHED", 5 * DAY, {
    description: "A random forest with rules for rarities.",
  }),
  version("prices", "prices-1", "STOPPED", 11 * DAY, { description: "A random forest." }),
];

export function count(id: string): Runtime {
  const runtime = runtimes.find((one) => one.id === id);
  if (!runtime) throw new Error(id);
  const own = versions.filter((one) => one.runtime === id);
  const states: Record<string, number> = {};
  for (const one of own) states[one.state] = (states[one.state] ?? 0) + 1;
  return {
    ...runtime,
    versions: own.length,
    states,
    published: own.find((one) => one.state === "PUBLISHED")?.name ?? null,
  };
}

export const config: ConfigEntry[] = [
  { name: "MODEL_THRESHOLD", kind: "variable", set: true, inherited_from: "digits-v4", value: "0.85" },
  { name: "SMTP_HOST", kind: "variable", set: true, inherited_from: null, value: "mail.example.org" },
  { name: "SMTP_PASSWORD", kind: "variable", set: false, inherited_from: null, value: null },
  {
    name: "CALIBRATION",
    kind: "file",
    set: true,
    inherited_from: "digits-v4",
    value: "label,offset\n0,0.01\n1,-0.02\n",
  },
];

export const users: User[] = [
  {
    login: "ada",
    role: "admin",
    created: stamp(BORN - 90 * DAY),
    signed_in: stamp(BORN - 5 * MINUTE),
    disabled: false,
    openid: false,
  },
  {
    login: "grace",
    role: "manager",
    created: stamp(BORN - 88 * DAY),
    signed_in: stamp(BORN - 3 * HOUR),
    disabled: false,
    openid: true,
  },
  {
    login: "linus",
    role: "viewer",
    created: stamp(BORN - 30 * DAY),
    signed_in: null,
    disabled: false,
    openid: false,
  },
  {
    login: "mallory",
    role: "viewer",
    created: stamp(BORN - 80 * DAY),
    signed_in: stamp(BORN - 60 * DAY),
    disabled: true,
    openid: false,
  },
];

export const tokens: Token[] = [
  {
    id: "t1",
    name: "deploy from CI",
    login: "grace",
    role: "manager",
    created: stamp(BORN - 50 * DAY),
    used: stamp(BORN - 3 * HOUR),
    expires: stamp(BORN + 40 * DAY),
    prefix: "krt_8Jq2",
    parent: null,
  },
  {
    id: "t2",
    name: "grafana",
    login: "ada",
    role: "viewer",
    created: stamp(BORN - 20 * DAY),
    used: null,
    expires: null,
    prefix: "krt_vX0a",
    parent: null,
  },
];

export const audit: AuditEntry[] = [];

/** Notes what somebody did. */
export function note(entry: Omit<AuditEntry, "id" | "time"> & { time?: number }) {
  const { time, ...rest } = entry;
  audit.unshift({ ...rest, id: audit.length + 1, time: stamp(time ?? Date.now()) });
}

const past: [number, string, AuditEntry["action"], string | null, string | null, string | null, string][] = [
  [90 * DAY, "krt", "user_created", null, null, "ada", "first start"],
  [60 * DAY, "grace", "version_created", "digits", "digits-v1", null, ""],
  [
    59 * DAY,
    "ada",
    "version_published",
    "digits",
    "digits-v1",
    null,
    "first one; agreed with the sorting centre",
  ],
  [17 * DAY, "grace", "version_created", "digits", "digits-v2", null, "new network"],
  [17 * DAY - HOUR, "grace", "version_started", "digits", "digits-v2", null, ""],
  [17 * DAY - 2 * HOUR, "krt", "version_failed", "digits", "digits-v2", null, "`model` failed in `init`"],
  [9 * DAY, "linus", "sign_in_failed", null, null, "linus", ""],
  [9 * DAY - HOUR, "grace", "version_published", "digits", "digits-v3", null, "with the weights this time"],
  [3 * DAY, "grace", "config_changed", "digits", "digits-v4", null, "threshold 0.8 → 0.85"],
  [3 * DAY - HOUR, "ada", "version_published", "digits", "digits-v4", null, "fewer sevens taken for ones"],
  [22 * MINUTE, "grace", "version_created", "digits", "digits-v5", null, "drift warnings"],
  [5 * MINUTE, "ada", "signed_in", null, null, null, ""],
];
for (const [age, login, action, runtime, version, subject, comment] of past) {
  note({ time: BORN - age, login, action, runtime, version, subject, comment });
}

export const boards: Board[] = [
  {
    id: "b1",
    name: "Morning look",
    changed: stamp(BORN - 2 * DAY),
    changed_by: "grace",
    charts: [
      {
        title: "Confidence by digit",
        measurement: "digit",
        field: "confidence",
        aggregation: "mean",
        group_by: ["digit"],
        width: 12,
      },
      {
        title: "Time of a request, p95",
        measurement: "workflow_elapsed_time",
        field: "elapsed_ms",
        aggregation: "p95",
        group_by: ["workflow"],
        unit: "ms",
        width: 6,
      },
      {
        title: "Evaluations",
        measurement: "evaluation",
        field: "correct",
        aggregation: "count",
        width: 6,
      },
    ],
  },
];

const seeded = random(7);
const MESSAGES: [Log["level"], string, number][] = [
  ["DEBUG", "64 pixels, 31 with ink", 3],
  ["INFO", "read a 7 with confidence 0.993", 8],
  ["INFO", "read a 3 with confidence 0.871", 8],
  ["INFO", "the image is blank: the model is not asked", 1],
  ["INFO", "evaluated: predicted 4, true 4", 4],
  ["WARN", "confidence 0.52 is below the threshold of 0.85", 1.4],
  ["WARN", "the model does not know the label 'A'", 0.5],
  ["ERROR", TRACEBACK, 0.25],
];
const WEIGHT = MESSAGES.reduce((sum, [, , weight]) => sum + weight, 0);

function message(): [Log["level"], string] {
  let left = seeded() * WEIGHT;
  for (const [level, text, weight] of MESSAGES) {
    left -= weight;
    if (left <= 0) return [level, text];
  }
  return ["INFO", "read a 1 with confidence 0.999"];
}

let serial = 0;
function requestId(): string {
  serial += 1;
  const part = () =>
    Math.floor(seeded() * 0x100000000)
      .toString(16)
      .padStart(8, "0");
  return `${part()}${part()}`.slice(0, 12) + (serial % 65536).toString(16).padStart(4, "0");
}

/** A request of a runtime that began at `start`. */
export function makeRequest(runtime: string, version: string, start: number): Request {
  const flow = pick(seeded, WORKFLOWS[runtime] ?? []);
  const hops: Request["hops"] = [];
  const failed = seeded() < 0.018;
  const failing = Math.floor(seeded() * flow.nodes.length);
  let clock = 0.08 + seeded() * 0.05;
  for (const [position, node] of flow.nodes.entries()) {
    const waiting = latency(seeded, 0.12);
    const handler = latency(seeded, node === "model" || node === "forest" ? 1.9 : 0.34);
    const outcome = failed && position === failing ? (seeded() < 0.2 ? "died" : "error") : "ok";
    clock += waiting;
    const [serialise, deserialise] = [latency(seeded, 0.04), latency(seeded, 0.03)];
    clock += serialise;
    hops.push({
      node,
      position,
      start_ms: clock,
      waiting_ms: waiting,
      encode_ms: serialise,
      handler_ms: handler,
      decode_ms: deserialise,
      outcome,
    });
    clock += handler + deserialise;
    if (outcome !== "ok") break;
  }
  const last = hops.at(-1);
  const left = !failed && seeded() < 0.004;
  const id = requestId();
  if (flow.cache && !failed && !left && serial % 5 < 3) {
    return {
      id,
      version,
      workflow: flow.name,
      start: stamp(start),
      elapsed_ms: 0.09,
      ending: "answered",
      error: null,
      request_bytes: 66,
      answer_bytes: 92,
      early_reply: false,
      cached: serial % 5 === 0 ? "shared" : "hit",
      hops: [],
      hops_left_out: 0,
    };
  }
  return {
    id,
    version,
    workflow: flow.name,
    start: stamp(start),
    elapsed_ms: clock + 0.06,
    ending: failed ? "failed" : left ? "left" : "answered",
    error: failed
      ? last?.outcome === "died"
        ? `the process of '${last.node}' died: signal 11`
        : `error in '${last?.node}': an image has 64 pixels, not 63`
      : null,
    request_bytes: 66 + Math.floor(seeded() * 12),
    answer_bytes: failed || left ? null : 92 + Math.floor(seeded() * 9),
    early_reply: !failed && seeded() < 0.03,
    hops,
    hops_left_out: 0,
  };
}

export const requests: Record<string, Request[]> = {};
export const logs: Record<string, Log[]> = {};
let logId = 0;

/** The log lines of a request, and now and then one of the engine. */
export function makeLogs(runtime: string, request: Request): Log[] {
  const start = Date.parse(request.start);
  const lines: Log[] = [];
  for (const hop of request.hops) {
    const [level, text] = hop.outcome === "error" ? (["ERROR", TRACEBACK] as const) : message();
    if (level === "ERROR" && hop.outcome !== "error") continue;
    logId += 1;
    lines.push({
      id: logId,
      time: stamp(start + hop.start_ms + hop.handler_ms / 2),
      level,
      version: request.version,
      workflow: request.workflow,
      node: hop.node,
      request: request.id,
      message: runtime === "digits" || level === "ERROR" ? text : `${hop.node}: done`,
    });
  }
  if (request.hops.some((hop) => hop.outcome === "died")) {
    logId += 1;
    lines.push({
      id: logId,
      time: stamp(start + request.elapsed_ms),
      level: "ERROR",
      version: request.version,
      workflow: null,
      node: null,
      request: null,
      message: `the process of \`${request.hops.at(-1)?.node}\` died: signal 11 (segmentation fault); a new one is up after 92 ms`,
    });
  }
  return lines;
}

export const KEPT = 8000;
for (const { id } of runtimes) {
  const published = versions.find((one) => one.runtime === id && one.state === "PUBLISHED");
  const own: Request[] = [];
  const lines: Log[] = [];
  for (let i = 0; published && i < (id === "digits" ? KEPT : 400); i += 1) {
    const request = makeRequest(id, published.name, BORN - (KEPT - i) * 2700 - seeded() * 2000);
    own.push(request);
    lines.push(...makeLogs(id, request));
  }
  requests[id] = own;
  logs[id] = lines;
}

export function makeGraph(version: Version, window: number): Graph {
  const flows = WORKFLOWS[version.runtime] ?? [];
  const live = version.state === "STARTED" || version.state === "PUBLISHED";
  const busy = version.state === "PUBLISHED" ? 1 : 0;
  const next = random(Math.floor(Date.now() / 1000) ^ version.name.length);
  const wobble = () => 0.85 + next() * 0.3;
  const share = (index: number) => (index === 0 ? 148 : index === 1 ? 31 : 2) * busy;
  const names = [...new Set(flows.flatMap((flow) => flow.nodes))];
  return {
    version: version.name,
    state: version.state,
    time: stamp(Date.now()),
    window_seconds: window,
    in_flight: busy * Math.round(3 + next() * 4),
    nodes: names.map((name) => {
      const rate =
        flows.reduce((sum, flow, i) => sum + (flow.nodes.includes(name) ? share(i) : 0), 0) * wobble();
      const slow = name === "model" || name === "forest" || name === "train";
      const errors = name === "etl" ? rate * 0.012 : 0;
      const middle = slow ? 1.9 : 0.32;
      return {
        name,
        language: LANGUAGES[name] ?? "python",
        src: LANGUAGES[name] ? `bin/${name}` : `src/${name}/main.py`,
        state: live
          ? name === "rules"
            ? "degraded"
            : "up"
          : version.state === "STARTING"
            ? "starting"
            : version.state === "ERROR" && name === "model"
              ? "down"
              : "stopped",
        replicas: slow ? 2 : 1,
        min_replicas: 1,
        max_replicas: slow ? 4 : 1,
        workers: live ? (slow ? 2 : name === "rules" ? 0 : 1) : 0,
        queue: busy * (slow ? Math.round(next() * 9) : Math.round(next())),
        restarts: name === "etl" && live ? 1 : 0,
        rate,
        errors,
        handled: Math.round(rate * window),
        failed: Math.round(errors * window),
        handler_ms: rate
          ? { p50: middle * wobble(), p95: middle * 2.1 * wobble(), p99: middle * 5 * wobble() }
          : { p50: null, p95: null, p99: null },
        waiting_ms: rate
          ? { p50: 0.1 * wobble(), p95: 0.4 * wobble(), p99: 1.2 * wobble() }
          : { p50: null, p95: null, p99: null },
        batch:
          name !== "model"
            ? null
            : rate
              ? { max: 64, mean_size: 6.4 * wobble(), one_ms: middle, max_ms: middle * 3.5 }
              : { max: 64, mean_size: null, one_ms: null, max_ms: null },
        gpus:
          name === "model" && live
            ? [
                {
                  id: "0",
                  name: "NVIDIA H200",
                  workers: 2,
                  memory: 150_754_820_096,
                  memory_used: 21_474_836_480,
                  utilization: 0.62,
                },
              ]
            : [],
      };
    }),
    workflows: flows.map((flow, index) => ({
      name: flow.name,
      method: `/${version.runtime}.Entrypoint/${flow.rpc}`,
      entrypoint: flow.rpc,
      sequence: flow.nodes,
      rate: share(index) * wobble(),
      errors: share(index) * 0.01,
      requests: Math.round(share(index) * window),
      failed: Math.round(share(index) * window * 0.01),
      elapsed_ms: busy
        ? { p50: 3.1 * wobble(), p95: 7.2 * wobble(), p99: 19 * wobble() }
        : { p50: null, p95: null, p99: null },
    })),
  };
}

const field = (name: string, type: string, more = {}) => ({
  name,
  type: type as "string",
  repeated: false,
  map: false,
  optional: false,
  oneof: null,
  message: null,
  values: null,
  value_comments: {},
  comment: null,
  ...more,
});

export function makeMethods(runtime: string): Methods {
  if (runtime === "digits") {
    const pixels = [
      0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0, 0, 3, 15, 2, 0, 11, 8, 0, 0, 4, 12, 0, 0, 8, 8, 0,
      0, 5, 8, 0, 0, 9, 8, 0, 0, 4, 11, 0, 1, 12, 7, 0, 0, 2, 14, 5, 10, 12, 0, 0, 0, 0, 6, 13, 10, 0, 0, 0,
    ];
    const comment = "8 rows of 8, from the top left: 0 (paper) to 16 (ink).";
    return {
      methods: [
        method(runtime, "Classify", "classify", "ClassifyRequest", "Classification", { pixels }),
        method(runtime, "Evaluate", "evaluate", "EvaluateRequest", "Evaluation", { pixels, label: "0" }),
      ],
      messages: {
        "digits.ClassifyRequest": {
          name: "digits.ClassifyRequest",
          comment: null,
          fields: [field("pixels", "integer", { repeated: true, comment })],
        },
        "digits.EvaluateRequest": {
          name: "digits.EvaluateRequest",
          comment: null,
          fields: [
            field("pixels", "integer", { repeated: true, comment: "As in ClassifyRequest." }),
            field("label", "string", { comment: "The digit that the image really shows." }),
          ],
        },
        "digits.Classification": {
          name: "digits.Classification",
          comment: null,
          fields: [
            field("digit", "integer"),
            field("confidence", "number"),
            field("probabilities", "number", { repeated: true }),
          ],
        },
        "digits.Evaluation": {
          name: "digits.Evaluation",
          comment: null,
          fields: [
            field("verdict", "enum", { values: ["CORRECT", "WRONG"] }),
            field("predicted", "string"),
            field("label", "string"),
          ],
        },
      },
    };
  }
  if (runtime === "prices") {
    return {
      methods: (WORKFLOWS.prices ?? []).map((flow) =>
        method(runtime, flow.rpc, flow.name, "Car", "Price", {
          make: "Volvo",
          model: "240",
          year: 1988,
          mileage: "214000",
          fuel: "PETROL",
          accidents: false,
          owner: { name: "Ada", since: "2019-04-01T00:00:00Z" },
          extras: ["towbar"],
          attributes: { colour: "blue" },
        }),
      ),
      messages: {
        "prices.Car": {
          name: "prices.Car",
          comment: null,
          fields: [
            field("make", "string", { comment: "As on the certificate of registration." }),
            field("model", "string"),
            field("year", "integer", { comment: "Of the first registration." }),
            field("mileage", "int64", { comment: "In kilometres." }),
            field("fuel", "enum", { values: ["FUEL_UNSPECIFIED", "PETROL", "DIESEL", "ELECTRIC"] }),
            field("accidents", "bool"),
            field("owner", "message", { message: "prices.Owner" }),
            field("extras", "string", { repeated: true }),
            field("attributes", "string", { map: true }),
            field("plate", "string", { oneof: "identity" }),
            field("vin", "string", { oneof: "identity", comment: "17 characters." }),
            field("photo", "bytes"),
          ],
        },
        "prices.Owner": {
          name: "prices.Owner",
          comment: null,
          fields: [field("name", "string"), field("since", "string", { comment: "RFC 3339." })],
        },
        "prices.Price": { name: "prices.Price", comment: null, fields: [field("euros", "number")] },
      },
    };
  }
  return {
    methods: [
      method(runtime, "Greet", "greeting", "GreetRequest", "Greeting", { name: "Ada" }),
      {
        ...method(runtime, "GreetAll", "greeting", "GreetRequest", "Greeting", { name: "Ada" }),
        streams: true,
      },
    ],
    messages: {
      "greeter.GreetRequest": {
        name: "greeter.GreetRequest",
        comment: null,
        fields: [field("name", "string")],
      },
      "greeter.Greeting": { name: "greeter.Greeting", comment: null, fields: [field("text", "string")] },
    },
  };
}

function method(
  runtime: string,
  name: string,
  workflow: string,
  input: string,
  output: string,
  example: unknown,
) {
  return {
    path: `/${runtime}.Entrypoint/${name}`,
    service: `${runtime}.Entrypoint`,
    name,
    comment: null,
    input: `${runtime}.${input}`,
    output: `${runtime}.${output}`,
    streams: false,
    workflow,
    open_inference: workflow === "classify",
    example,
  };
}

export const DOCS = `<h1>digits</h1>
<p>Reads handwritten digits from images of 8 × 8 pixels.</p>
<table><thead><tr><th>workflow</th><th>RPC</th><th>nodes</th><th>answers</th></tr></thead><tbody>
<tr><td><code>classify</code></td><td><code>Classify</code></td><td><code>etl</code> → <code>model</code> → <code>output</code></td><td>the digit, with the probability of each</td></tr>
<tr><td><code>evaluate</code></td><td><code>Evaluate</code></td><td><code>etl</code> → <code>model</code> → <code>evaluation</code></td><td>whether the model reads what a person reads</td></tr>
</tbody></table>
<h2>Nodes</h2>
<ul><li><code>etl</code> checks the 64 pixels and scales them. A blank image is answered here, by an early exit: there is nothing to ask the model.</li>
<li><code>model</code> loads <code>models/digits.npz</code> in <code>init</code> and computes the probabilities.</li>
<li><code>output</code> picks the digit and saves the measurement <code>digit</code>.</li></ul>
<p><img src="/api/v1/runtimes/digits/versions/digits-v4/docs/files/network.svg" alt="64 inputs, a hidden layer of 64 units, 10 outputs"></p>
<h2>Model</h2>
<p>A neural network with one hidden layer of 64 units. <a href="https://scikit-learn.org">scikit-learn</a> trains it; the node runs it in numpy alone.</p>
<pre><code>$ krt call Classify '{"pixels": [0, 0, 5, 13, …]}'
{"digit":0,"confidence":0.9998}</code></pre>
<blockquote><p>The people who wrote the test images also wrote images that the model was trained on: expect less from the handwriting of others.</p></blockquote>`;

export const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 120" width="420" height="120"><g fill="#0f766e">${Array.from({ length: 8 }, (_, i) => `<circle cx="40" cy="${12 + i * 14}" r="4"/><circle cx="210" cy="${12 + i * 14}" r="4"/>`).join("")}${Array.from({ length: 5 }, (_, i) => `<circle cx="380" cy="${32 + i * 14}" r="4"/>`).join("")}</g><g stroke="#94a3b8" stroke-width=".5">${Array.from({ length: 64 }, (_, i) => `<path d="M40 ${12 + (i % 8) * 14}L210 ${12 + Math.floor(i / 8) * 14}"/>`).join("")}${Array.from({ length: 40 }, (_, i) => `<path d="M210 ${12 + (i % 8) * 14}L380 ${32 + Math.floor(i / 8) * 14}"/>`).join("")}</g></svg>`;
