//! Batches: which of the waiting messages a handler gets in one call.
//!
//! Nothing waits for a batch to fill. A free worker takes the waiting messages, within [`plan`](fn@plan); a node learns
//! how long its batches take ([`Curve`]). A batch that fails as a whole comes back in halves
//! ([`super::Flow::split`]).

mod curve;
mod plan;

pub use curve::Curve;
use plan::{Bounds, Waiting, plan};

use super::request::Delivery;
use krt_model::version::RunOptions;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The most bytes of the messages in a batch; one message may have more.
const MAX_BYTES: usize = 16 << 20;

/// Decides on the batches of a node.
#[derive(Debug)]
pub(super) struct Batcher {
    max: u16,
    timeout: Option<Duration>,
    /// What all workers of the node have learnt.
    curve: Mutex<Curve>,
}

impl Batcher {
    /// Creates the batcher of a node, if its handler gets batches.
    pub(super) fn of(run: &RunOptions) -> Option<Self> {
        let batch = run.batch?;
        Some(Self { max: batch.max, timeout: run.timeout, curve: Mutex::default() })
    }

    /// Learns from a batch that did not fail as a whole.
    pub(super) fn learn(&self, size: u16, took: Duration) {
        self.lock().observe(size, took);
    }

    /// Returns what the node has learnt.
    pub(super) fn curve(&self) -> Curve {
        self.lock().clone()
    }

    /// Chooses the next batch among waiting deliveries, by index. `workers` is the number of free places, which
    /// share what waits.
    pub(super) fn choose<'a>(
        &self,
        waiting: impl Iterator<Item = &'a Delivery>,
        workers: usize,
    ) -> Vec<usize> {
        let now = Instant::now();
        let waiting: Vec<_> = waiting.map(|delivery| facts(delivery, now)).collect();
        let bounds = Bounds { max: self.max, bytes: MAX_BYTES, timeout: self.timeout, workers };
        plan(&waiting, &self.lock(), &bounds)
    }

    fn lock(&self) -> MutexGuard<'_, Curve> {
        self.curve.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn facts(delivery: &Delivery, now: Instant) -> Waiting {
    let deadline = delivery.request.deadline.filter(|_| !delivery.request.replied());
    Waiting {
        workflow: delivery.request.route.index,
        bytes: delivery.payload.value().len(),
        left: deadline.map_or(Duration::MAX, |deadline| deadline.at.saturating_duration_since(now)),
    }
}
