//! Nodes: the processes that run user code, and the engine's communication with them.
//!
//! - [`supervisor`]: starts, restarts and stops the workers of all nodes.
//! - [`replica`]: keeps one worker up.
//! - [`scaler`]: starts and ends workers, so that their number follows the load; [`scaling`]: decides on the number.
//! - [`process`]: one process; [`template`]: one that workers are forked from.
//! - [`recycle`]: when a worker is replaced by a new one.
//! - [`warmup`]: samples that a worker handles before it gets messages.
//! - [`link`]: the engine's end of the socket to one worker.
//! - [`window`]: the unanswered deliveries of a worker.
//! - [`batches`]: the batches among them.
//! - [`stream`]: the messages of a streamed answer that its client has not taken.
//! - [`plain`]: plain data instead of messages, for nodes with `payload: json`.
//! - [`frame`]: the node protocol's frames; [`frames`]: reads those of a worker; [`outbox`]: writes those to
//!   a worker.
//! - [`effects`]: measurements, documents, predictions.
//! - [`output`]: what user code prints.
//! - [`older`]: executables of older runners, which speak NATS instead of the node protocol.

mod backoff;
mod batches;
mod effects;
pub mod frame;
mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod link;
pub mod older;
mod outbox;
mod output;
mod plain;
mod process;
mod recycle;
mod replica;
mod scaler;
mod scaling;
#[cfg(test)]
mod scripted;
mod stream;
mod supervisor;
mod template;
mod warmup;
mod window;
mod worker;

pub use plain::Plain;
pub use process::{Launch, Lifeline, run_isolated};
pub use stream::WINDOW;
pub use supervisor::{Nodes, StartError};

use crate::{
    flow::{Flow, NodeQueue},
    gpus::{GpuReading, Reservation},
    logs::Logs,
};
use krt_model::{
    hint,
    name::Name,
    version::{Gpu, RunOptions},
};
use krt_package::Package;
use krt_remote::Documents;
use krt_store::Store;
use std::sync::{Arc, OnceLock, Weak};
use worker::StartFailure;

/// State shared by all workers of one node.
#[derive(Debug)]
pub struct Node {
    /// The node's name.
    pub name: Name,
    /// Its index in the version.
    pub index: usize,
    /// Its settings.
    pub run: RunOptions,
    /// The GPUs that each worker wants.
    pub gpu: Option<Gpu>,
    /// The GPUs of its workers, once they have started.
    pub gpus: OnceLock<NodeGpus>,
    /// Whether it is the last node of a workflow whose answer is a stream.
    pub streams: bool,
    /// Converts messages to plain data and back.
    pub plain: Plain,
    /// The first frame to each worker.
    pub hello: frame::Hello,
    /// The source and target of deliveries.
    pub flow: Arc<Flow>,
    /// The store of measurements.
    pub store: Store,
    /// The store of documents.
    pub documents: Documents,
    /// Its package.
    pub package: Arc<Package>,
    /// The destination of its log records.
    pub logs: Logs,
}

/// The GPUs of a node's workers.
#[derive(Debug)]
pub struct NodeGpus {
    /// Held by the workers' supervisor.
    reservation: Weak<Reservation>,
    /// The node's request in it.
    request: usize,
}

impl NodeGpus {
    /// Reads their state; empty once the workers have ended.
    pub fn read(&self) -> Vec<GpuReading> {
        self.reservation.upgrade().map(|reservation| reservation.read(self.request)).unwrap_or_default()
    }
}

impl Node {
    /// Whether requests wait for it in the order of their priorities.
    fn has_priorities(&self) -> bool {
        let mut workflows = self.package.version.workflows.iter();
        workflows.any(|workflow| workflow.priority && workflow.sequence.contains(&self.index))
    }

    fn queue(&self) -> &Arc<NodeQueue> {
        self.flow.queue(self.index)
    }

    /// Notes that a worker did not start while the version runs: what waits for one alone fails.
    fn start_failed(&self, failed: &StartFailure) {
        tracing::error!(node = %self.name, "does not start: {}", hint::chain(failed));
        self.flow.clear_parts(self.index);
        // Messages of other nodes wait only if they have retries.
        if self.run.replicas.min == 0 && self.run.retries == 0 {
            self.queue().set_asleep(false);
            let reason = failed.to_string();
            let last = reason.lines().rev().find(|line| !line.trim().is_empty());
            self.flow.cannot_wake(self.index, last.unwrap_or_default().trim());
        }
    }
}
