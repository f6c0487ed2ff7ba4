//! One stream of logs: of the engine, of the nodes, of what user code prints.
//!
//! - [`console`]: how records look on standard error.
//! - [`layer`]: how the engine's own `tracing` events become records.
//! - [`text`]: nodes that write their records as text.

mod console;
mod layer;
pub mod text;

pub use console::{Console, Format};
pub use layer::EngineLayer;

use krt_model::{message::Timestamp, name::Name};
use krt_store::{LogRecord, Store};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// How serious a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// The ordinary course.
    Info,
    /// Something that may need a look.
    Warn,
    /// Something that went wrong.
    Error,
}

impl Level {
    /// The level's name in KRT v1: `DEBUG`, `INFO`, `WARN`, `ERROR`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// Parses a level's name, with Python's `WARNING` and `CRITICAL` as well, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "DEBUG" => Self::Debug,
            "INFO" => Self::Info,
            "WARN" | "WARNING" => Self::Warn,
            "ERROR" | "CRITICAL" => Self::Error,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was made.
    pub time: Timestamp,
    /// How serious it is.
    pub level: Level,
    /// The workflow that it belongs to.
    pub workflow: Option<Name>,
    /// The node that it belongs to; `None` is the engine.
    pub node: Option<Name>,
    /// The request that it belongs to.
    pub request: Option<Arc<str>>,
    /// The text; may have several lines.
    pub message: String,
}

/// Where records go: to the console and, once there is one, to the store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    console: Console,
    level: Level,
    sink: OnceLock<Sink>,
}

/// The store that keeps records, and the version that they are of.
#[derive(Debug)]
struct Sink {
    store: Store,
    version: Arc<str>,
}

impl Logs {
    /// Records of `level` and above go to the console.
    pub fn new(console: Console, level: Level) -> Self {
        Self(Arc::new(Inner { console, level, sink: OnceLock::new() }))
    }

    /// The lowest level that is kept.
    pub fn level(&self) -> Level {
        self.0.level
    }

    /// How records look on the console.
    pub fn format(&self) -> Format {
        self.0.console.format
    }

    /// The logs of a version: on the same console, but kept in that store.
    pub fn of_version(&self, store: Store, version: &Name) -> Self {
        let logs = Self::new(self.0.console.clone(), self.0.level);
        logs.keep(store, version);
        logs
    }

    /// Runs a future whose events are records of these logs, whatever others the program has.
    pub fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        layer::CURRENT.scope(self.clone(), future)
    }

    /// Keeps records of a version in a store from now on.
    pub fn keep(&self, store: Store, version: &Name) {
        // A second call comes with the same store: a reload of the same package.
        let _ = self.0.sink.set(Sink { store, version: version.as_str().into() });
    }

    /// Adds a record. Never blocks: what finds no room is counted as dropped.
    pub fn write(&self, record: Record) {
        if record.level < self.0.level {
            return;
        }
        let sink = self.0.sink.get();
        if let Some(sink) = sink {
            sink.store.log(&LogRecord {
                time: i64::try_from(record.time.0).unwrap_or(i64::MAX),
                level: record.level.into(),
                version: &sink.version,
                workflow: record.workflow.as_ref().map(Name::as_str),
                node: record.node.as_ref().map(Name::as_str),
                request: record.request.as_deref(),
                message: &record.message,
            });
        }
        self.0.console.write(sink.map(|sink| &sink.version), record);
    }

    /// Waits until all that was written is out, at most a second.
    pub fn flush(&self) {
        self.0.console.flush();
    }
}

impl From<Level> for krt_store::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}
