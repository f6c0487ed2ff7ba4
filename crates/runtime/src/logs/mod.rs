//! One stream of logs: of the engine, of the nodes, and of user code's output.
//!
//! - [`console`]: the form of records on standard error.
//! - [`layer`]: turns the engine's `tracing` events into records.
//! - [`text`]: parses records that nodes write as text.

mod console;
mod layer;
pub mod text;

pub use console::{Console, Format};
pub use layer::EngineLayer;

use krt_model::{log::Level, message::Timestamp, name::Name};
use krt_store::{LogRecord, Store};
use std::sync::{Arc, OnceLock};

/// A log record.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was made.
    pub time: Timestamp,
    /// Its severity.
    pub level: Level,
    /// The workflow it belongs to.
    pub workflow: Option<Name>,
    /// The node it belongs to; `None` is the engine.
    pub node: Option<Name>,
    /// The request it belongs to.
    pub request: Option<Arc<str>>,
    /// The text, of one or more lines.
    pub message: String,
}

/// The destination of records: the console and, once set, the store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    console: Console,
    level: Level,
    sink: OnceLock<Sink>,
}

/// The store of the records, and their version.
#[derive(Debug)]
struct Sink {
    store: Store,
    version: Arc<str>,
}

impl Logs {
    /// Creates logs that write records of `level` and above to the console.
    pub fn new(console: Console, level: Level) -> Self {
        Self(Arc::new(Inner { console, level, sink: OnceLock::new() }))
    }

    /// The lowest level that is kept.
    pub fn level(&self) -> Level {
        self.0.level
    }

    /// The form of records on the console.
    pub fn format(&self) -> Format {
        self.0.console.format
    }

    /// Creates the logs of a version: on the same console, but kept in that store.
    pub fn of_version(&self, store: Store, version: &Name) -> Self {
        let logs = Self::new(self.0.console.clone(), self.0.level);
        logs.save_in(store, version);
        logs
    }

    /// Runs a future whose events go to these logs.
    pub fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        layer::CURRENT.scope(self.clone(), future)
    }

    /// Keeps records of a version in a store from now on.
    pub fn save_in(&self, store: Store, version: &Name) {
        // A second call has the same store: the same package is reloaded.
        let _ = self.0.sink.set(Sink { store, version: version.as_str().into() });
    }

    /// Adds a record. Never blocks; a record for which there is no room counts as dropped.
    pub fn write(&self, record: Record) {
        if record.level < self.0.level {
            return;
        }
        let sink = self.0.sink.get();
        if let Some(sink) = sink {
            sink.store.log(&LogRecord {
                time: i64::try_from(record.time.0).unwrap_or(i64::MAX),
                level: record.level,
                version: &sink.version,
                workflow: record.workflow.as_ref().map(Name::as_str),
                node: record.node.as_ref().map(Name::as_str),
                request: record.request.as_deref(),
                message: &record.message,
            });
        }
        self.0.console.write(sink.map(|sink| &sink.version), record);
    }

    /// Waits until all records are written, for a second at most.
    pub fn flush(&self) {
        self.0.console.flush();
    }
}
