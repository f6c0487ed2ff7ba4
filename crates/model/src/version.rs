//! The description of a checked package.

use crate::language::Language;
use crate::metadata::MetadataName;
use crate::name::{Name, VariableName};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// A version of a solution: nodes, chained to workflows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    /// Its name.
    pub name: Name,
    /// Its purpose, as the author describes it.
    pub description: String,
    /// The `.proto` that describes the entrypoint, relative to the package's root.
    pub proto: String,
    /// Values that must be supplied before the version starts.
    pub config: Vec<Variable>,
    /// Variables of the engine's environment that nodes see, besides those that every node sees.
    pub environment: Vec<String>,
    /// Headers of clients that handlers see.
    pub metadata: Vec<MetadataName>,
    /// At least one. Names are unique.
    pub nodes: Vec<Node>,
    /// At least one. Names are unique, and so are their RPCs.
    pub workflows: Vec<Workflow>,
}

impl Version {
    /// The nodes that `krt` runs, by index: all but those that are left to other runners.
    pub fn own_nodes(&self) -> impl Iterator<Item = usize> {
        let own = |(index, node): (usize, &Node)| (node.run.runner != Runner::External).then_some(index);
        self.nodes.iter().enumerate().filter_map(own)
    }
}

/// A configuration value from outside the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// The name of the environment variable for nodes.
    pub name: VariableName,
    /// Whether its value is a text or the content of a file.
    pub kind: VariableKind,
}

/// The source of a variable's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VariableKind {
    /// `config.variables`: a text.
    Text,
    /// `config.files`: the content of a file.
    File,
}

/// A node: one or more processes that run a user's `init` and `handler`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: Name,
    /// The Python file or the executable, relative to the package's root.
    pub src: String,
    /// Its language, unless it is an executable without sources.
    pub language: Option<Language>,
    /// The sources of the executable, if it is built.
    pub build: Option<Build>,
    /// The container image for a cluster; not used here.
    pub image: Option<String>,
    /// The GPUs of each of its workers, if it wants any.
    pub gpu: Option<Gpu>,
    /// Its settings here.
    pub run: RunOptions,
}

/// The GPUs that each worker of a node wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// The GPUs that a worker sees, 1 to [`Gpu::MAX_COUNT`].
    pub count: u16,
    /// How many workers may use one GPU, 1 to [`Gpu::MAX_SHARE`].
    pub share: u16,
    /// What happens where there are too few.
    pub need: GpuNeed,
}

impl Gpu {
    /// The largest count.
    pub const MAX_COUNT: u16 = 64;
    /// The largest share.
    pub const MAX_SHARE: u16 = 32;
}

impl Default for Gpu {
    fn default() -> Self {
        Self { count: 1, share: 1, need: GpuNeed::Required }
    }
}

/// What happens to a node where there are fewer GPUs than it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GpuNeed {
    /// The version does not start.
    Required,
    /// The version does not start, unless the machine has no GPU at all: `gpu: true` of KRT v1, which describes a
    /// cluster.
    RequiredIfAny,
    /// Workers without a GPU run without one.
    Optional,
}

/// Sources of an executable, relative to the package's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The folder of the `package main`, or of the executable's `Cargo.toml`.
    pub folder: String,
    /// The folder with everything that the executable may be built from: that of its `go.mod`, or that of the
    /// outermost `Cargo.toml`, which may define a workspace.
    pub module: String,
}

/// krt's own optional keys of a node, which other tools ignore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    /// Processes of this node.
    pub replicas: Replicas,
    /// Messages that a process handles at a time, 1 to [`RunOptions::MAX_CONCURRENCY`].
    pub concurrency: u16,
    /// Time limit of a handler. `None`: until its request's deadline.
    pub timeout: Option<Duration>,
    /// How many times a message is given to another process after its process died handling it.
    pub retries: u16,
    /// The form of the handler's input and result.
    pub payload: PayloadForm,
    /// Whether its handler gets several messages in one call. `None`: one.
    pub batch: Option<Batch>,
    /// The program that runs it.
    pub runner: Runner,
    /// The limits of each of its processes.
    pub limits: Limits,
    /// When one of its processes is replaced.
    pub recycle: Recycle,
    /// The file of samples that each process handles first, relative to the package's root.
    pub warmup: Option<String>,
}

/// The processes of a node: a fixed number, or one that follows the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// The fewest, 0 to [`RunOptions::MAX_REPLICAS`]. A node without any sleeps until a message comes.
    pub min: u16,
    /// The most, at least 1.
    pub max: u16,
    /// For how long fewer must have sufficed before one ends.
    pub idle: Duration,
    /// Whether they are forked from a process that has run `init`, and share its memory.
    #[serde(default)]
    pub fork: bool,
}

impl Replicas {
    /// A fixed number.
    pub fn fixed(number: u16) -> Self {
        Self { min: number, max: number, idle: Duration::from_secs(5 * 60), fork: false }
    }

    /// The number at the start. A node that may sleep starts awake, so that one that cannot start is known.
    pub fn first(self) -> u16 {
        self.min.max(1)
    }

    /// Whether the number follows the load.
    pub fn follow(self) -> bool {
        self.min < self.max
    }
}

impl Default for Replicas {
    fn default() -> Self {
        Self::fixed(1)
    }
}

/// How a node gets several messages in one call of its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The most messages of a batch, 1 to [`Batch::MAX_SIZE`].
    pub max: u16,
    /// Whether a batch that fails as a whole is split and handled again, so that only the message at fault fails.
    pub isolate: bool,
}

impl Batch {
    /// The largest maximum.
    pub const MAX_SIZE: u16 = 1024;
}

impl Default for Batch {
    fn default() -> Self {
        Self { max: 64, isolate: true }
    }
}

/// Limits of a worker, together with the processes it starts. `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Memory.
    pub memory: Option<Memory>,
    /// Processor time, in thousandths of a processor.
    pub cpu: Option<u32>,
    /// Files that each process may have open.
    pub files: Option<u32>,
}

impl Limits {
    /// Fills missing limits with those of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            memory: self.memory.or(other.memory),
            cpu: self.cpu.or(other.cpu),
            files: self.files.or(other.files),
        }
    }
}

/// When a worker is replaced by a new one. `None`: never for that reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recycle {
    /// It has more memory, together with the processes it started.
    pub memory: Option<Memory>,
    /// It has answered so many messages.
    pub requests: Option<u32>,
}

/// An amount of memory, in bytes, displayed in the form of Kubernetes: `512Mi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Memory(pub u64);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
        let whole = |&(_, shift): &(&str, u32)| self.0 >> shift > 0 && self.0.trailing_zeros() >= shift;
        match units.into_iter().find(whole) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The program that runs a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Runner {
    /// This program.
    #[default]
    Krt,
    /// Another runner of KRT v1, which speaks NATS itself.
    External,
    /// This program, but the executable was built with an older runner, which speaks NATS, MongoDB and
    /// InfluxDB itself. The executable reveals this, not `krt.yml`.
    Older(OlderRunner),
}

/// The properties of an older runner that decide how to communicate with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OlderRunner {
    /// Its protocol over NATS.
    pub generation: Generation,
    /// Whether it writes `node_elapsed_time` and `workflow_elapsed_time` itself.
    pub measures: bool,
}

/// The protocol of an older runner over NATS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generation {
    /// Runners 1.x and 2.0: plain NATS.
    Core,
    /// Runners 2.1: JetStream.
    JetStream,
}

impl Runner {
    /// Its name in `krt.yml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Krt | Self::Older(_) => "krt",
            Self::External => "external",
        }
    }

    /// Returns the older runner that the node's executable was built with, if any.
    pub fn older(self) -> Option<OlderRunner> {
        match self {
            Self::Older(older) => Some(older),
            Self::Krt | Self::External => None,
        }
    }
}

/// The form of a handler's input and result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PayloadForm {
    /// A `google.protobuf.Any` in, a protobuf message out.
    #[default]
    Protobuf,
    /// Plain data, converted by the rules of proto3 JSON in both directions.
    Json,
}

impl PayloadForm {
    /// Returns its name, in `krt.yml` and to workers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protobuf => "protobuf",
            Self::Json => "json",
        }
    }
}

impl RunOptions {
    /// The maximum number of processes of a node.
    pub const MAX_REPLICAS: u16 = 256;
    /// The maximum number of messages that a process handles at a time.
    pub const MAX_CONCURRENCY: u16 = 4096;
    /// The maximum number of retries.
    pub const MAX_RETRIES: u16 = 100;
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            replicas: Replicas::default(),
            concurrency: 1,
            timeout: None,
            retries: 0,
            payload: PayloadForm::default(),
            batch: None,
            runner: Runner::default(),
            limits: Limits::default(),
            recycle: Recycle::default(),
            warmup: None,
        }
    }
}

/// A chain of nodes behind one RPC.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Workflow {
    /// Its name.
    pub name: Name,
    /// The RPC's name, without its service.
    pub entrypoint: String,
    /// The nodes that a message passes: indexes into [`Version::nodes`], at least one.
    pub sequence: Vec<usize>,
    /// Whether its requests wait in the order of their priorities.
    pub priority: bool,
    /// How its answers are kept for equal requests. `None`: each request runs its handlers.
    pub cache: Option<Cache>,
    /// Whether it is a model of the Open Inference Protocol, too.
    pub open_inference: bool,
}

/// How answers are kept for equal requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// How long an answer is kept.
    pub ttl: Duration,
    /// The memory of the kept answers.
    pub max: Memory,
}

impl Cache {
    /// The memory of a cache that names none.
    pub const DEFAULT_MAX: Memory = Memory(64 << 20);
}

#[cfg(test)]
mod tests;
