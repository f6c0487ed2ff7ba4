//! What may import what; ARCHITECTURE.md says why.

/// The rules of a workspace. A name that is missing from a table is a violation, too, so that each new one is decided on.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The crates that a crate may use, names without `krt-`.
    pub crates: Table<'a>,
    /// In a crate, the other modules of its root that a module may use.
    pub layers: &'a [(&'a str, Table<'a>)],
    /// What a crate may not use from outside, by paths, tests apart.
    pub outside: Table<'a>,
    /// Modules that use one another for a reason.
    pub cycles: &'a [Cycle<'a>],
}

/// Names, each with those that it may or may not use.
pub type Table<'a> = &'a [(&'a str, &'a [&'a str])];

/// Modules that may use one another.
#[derive(Debug, Clone, Copy)]
pub struct Cycle<'a> {
    /// Their crate, without `krt-`.
    pub krate: &'a str,
    /// Their names below the root.
    pub modules: &'a [&'a str],
    /// Why they do.
    pub reason: &'a str,
}

/// The rules of this workspace.
pub const RULES: Rules<'static> =
    Rules { crates: CRATES, layers: &[("runtime", RUNTIME)], outside: OUTSIDE, cycles: CYCLES };

const CRATES: Table<'static> = &[
    ("allocator", &[]),
    ("api", &["model"]),
    ("compression", &[]),
    ("model", &[]),
    ("package", &["compression", "model"]),
    ("reader", &["package"]),
    ("store", &["model"]),
    ("environment", &["compression", "model"]),
    ("guard", &[]),
    ("broker", &["compression", "model"]),
    ("loopback", &["compression", "model", "store"]),
    ("remote", &["model", "store"]),
    ("runtime", &["broker", "compression", "guard", "loopback", "model", "package", "remote", "store"]),
    ("registry", &["model"]),
    (
        "serve",
        &["api", "compression", "model", "package", "reader", "registry", "remote", "store", "runtime"],
    ),
    (
        "cli",
        &[
            "allocator",
            "api",
            "broker",
            "guard",
            "loopback",
            "model",
            "package",
            "reader",
            "remote",
            "store",
            "environment",
            "runtime",
            "registry",
            "serve",
        ],
    ),
    ("imports", &[]),
    ("servers", &[]),
    ("e2e", &["api", "remote", "servers", "store"]),
];

const RUNTIME: Table<'static> = &[
    ("descriptors", &[]),
    ("gpus", &[]),
    ("json", &["memory"]),
    ("memory", &[]),
    ("metrics", &[]),
    ("offload", &[]),
    ("traces", &[]),
    ("flow", &["memory", "metrics", "traces"]),
    ("logs", &["flow"]),
    ("envelopes", &["memory", "offload"]),
    ("tensors", &["json", "memory"]),
    ("ingress", &["descriptors", "flow", "json", "memory", "offload", "tensors", "traces"]),
    ("save_request", &[]),
    ("nats", &["envelopes", "flow", "memory", "save_request", "traces"]),
    (
        "node",
        &[
            "descriptors",
            "envelopes",
            "flow",
            "gpus",
            "logs",
            "json",
            "memory",
            "metrics",
            "offload",
            "save_request",
            "traces",
        ],
    ),
    ("engine", &["ingress", "flow", "gpus", "logs", "nats", "node", "traces"]),
    ("server", &["engine", "ingress", "flow", "logs", "metrics", "nats", "node", "traces"]),
];

const OUTSIDE: Table<'static> = &[
    (
        "model",
        &[
            "std::fs",
            "std::net",
            "std::process",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
            "tokio",
        ],
    ),
    ("package", &["std::net", "std::process", "tokio"]),
];

const CYCLES: &[Cycle<'static>] = &[
    Cycle {
        krate: "broker",
        modules: &["acker", "sender"],
        reason: "an acknowledgement is sent in order with messages, and a message carries the one that follows it",
    },
    Cycle {
        krate: "cli",
        modules: &["args", "commands"],
        reason: "the arguments hold each command's own, and completions and the reference read all of them",
    },
    Cycle {
        krate: "runtime",
        modules: &[
            "ingress::call",
            "ingress::connect",
            "ingress::grpc",
            "ingress::index",
            "ingress::open_inference",
            "ingress::service",
            "ingress::stream",
        ],
        reason: "the service chooses a protocol by content type, each protocol answers by the service, and a stream is in the form of one of them",
    },
    Cycle {
        krate: "runtime",
        modules: &["node::effects", "node::link", "node::older", "node::process", "node::worker"],
        reason: "a worker has a link and a process, and what arrives on either ends or feeds the others",
    },
];
