//! What an engine is built from.

use crate::{flow, gpus::Gpus, ingress, logs::Logs, nats, node::Lifeline, traces::Traces};
use krt_broker::Connection;
use krt_package::Package;
use krt_remote::Documents;
use krt_store::Store;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Limits of an engine.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Limits on the requests in flight.
    pub in_flight: flow::Limits,
    /// Limits on every request.
    pub requests: ingress::Limits,
    /// How long requests in flight may take to finish at shutdown.
    pub drain: Duration,
    /// The most workers of all nodes, without those that replace others.
    pub max_workers: Option<usize>,
}

/// What an engine is built from.
#[derive(Debug)]
pub struct Parts {
    /// The package.
    pub package: Arc<Package>,
    /// The id of the version's runtime.
    pub runtime: String,
    /// The nodes that run here, by index.
    pub here: BTreeSet<usize>,
    /// The broker, if messages use one.
    pub broker: Option<(Connection, nats::Options)>,
    /// The store of measurements, logs and requests.
    pub store: Store,
    /// The store of documents.
    pub documents: Documents,
    /// The destination of log records.
    pub logs: Logs,
    /// The destination of traces.
    pub traces: Traces,
    /// The GPUs for workers.
    pub gpus: Arc<Gpus>,
    /// Shows workers the engine's end.
    pub lifeline: Arc<Lifeline>,
    /// The limits.
    pub options: Options,
}
