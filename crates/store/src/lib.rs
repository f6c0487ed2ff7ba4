//! The embedded store: measurements, documents, predictions, logs and requests in SQLite.
//!
//! - `store`: [`Store`] writes, [`Writer`] owns the threads behind it.
//! - `reader`: [`Reader`] reads, also from another process.
//! - [`filter`]: queries over documents, with MongoDB's semantics.
//! - [`json`]: documents as Extended JSON.
//! - `point`, `log`, `request`, `intake`, `telemetry`, `chunk`: measurements, logs and requests, from the
//!   caller to the disk.
//! - `documents`: saves and finds documents.
//! - `database`: the files.
//! - [`Snapshot`]: copies a store while a process writes it.
//! - `bytes`, `clock`, `error`, `options`: shared by the others.
//!
//! A document that [`Store::save`] confirmed survives any end of the process. Measurements, logs and requests
//! wait in memory for up to a second, and a killed process loses those. A power cut may lose the last second
//! or so of anything, but never damages the files.
//!
//! Documents are in SQLite because no embedded document database for Rust is well maintained: PoloDB, the one
//! that speaks MongoDB's queries, has reports of corrupted files and lost data, little time from its author,
//! and brings RocksDB with it.

mod bytes;
mod chunk;
mod clock;
mod database;
mod documents;
mod error;
pub mod filter;
mod intake;
pub mod json;
mod log;
mod options;
mod point;
mod predictions;
mod reader;
mod request;
mod snapshot;
mod store;
mod telemetry;

pub use documents::{
    check::{MAX_DEPTH, MAX_SIZE, ValidDocument, check_collection, check_document},
    find::FindLimits,
};
pub use error::{DocumentError, Error, Fault, PointError};
pub use filter::{Filter, FilterError};
pub use json::{JsonError, parse_document, to_json, value_text};
pub use log::{LogRecord, MAX_MESSAGE};
pub use options::{Options, Retention};
pub use point::{MAX_FIELDS, MAX_NAME, MAX_TEXT, Point, Value};
pub use predictions::{MAX_UPDATES, PREDICTIONS, PredictionFilter, PredictionUpdates, UPDATES};
pub use reader::{
    Reader,
    documents::Collection,
    logs::{LogFilter, LogPage, StoredLog},
    measurements::{Order, PointFilter, SeriesInfo, StoredPoint, Tags},
    requests::{RequestFilter, RequestOrder},
    windows::{MAX_WINDOWS, Window, WindowQuery},
};
pub use snapshot::Snapshot;
pub use store::{Series, Store, Writer};
pub use telemetry::{Counters, Sink};
