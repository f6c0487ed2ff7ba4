//! Batches: which of the waiting messages a handler gets in one call.
//!
//! A free worker takes the waiting messages, within [`plan`](fn@plan); a node learns how long its batches take
//! ([`Curve`]). Only where clients send their next message in the moment after an answer ([`Returns`]) does a worker
//! pause for that moment, a fraction of a batch's time. A batch that fails as a whole comes back in halves
//! ([`super::Flow::split`]).

mod curve;
mod plan;
mod returns;

pub use curve::Curve;
use plan::{Bounds, Waiting, plan};
use returns::Returns;

use super::request::Delivery;
use krt_model::version::RunOptions;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The most bytes of the messages in a batch; one message may have more.
const MAX_BYTES: usize = 16 << 20;
/// A pause is at most this part of the time that a batch takes.
const PAUSE: u32 = 4;
/// The time within which clients on the same machine send their next message; timers count in milliseconds.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(20);

/// Decides on the batches of a node.
#[derive(Debug)]
pub(super) struct Batcher {
    max: u16,
    timeout: Option<Duration>,
    /// What all workers of the node have learnt.
    curve: Mutex<Curve>,
    /// What is known of the clients.
    returns: Mutex<Returns>,
}

impl Batcher {
    /// Creates the batcher of a node, if its handler gets batches.
    pub(super) fn of(run: &RunOptions) -> Option<Self> {
        let batch = run.batch?;
        Some(Self {
            max: batch.max,
            timeout: run.timeout,
            curve: Mutex::default(),
            returns: Mutex::default(),
        })
    }

    /// Learns from a batch that did not fail as a whole.
    pub(super) fn learn(&self, size: u16, took: Duration) {
        self.lock().observe(size, took);
    }

    /// Returns what the node has learnt.
    pub(super) fn curve(&self) -> Curve {
        self.lock().clone()
    }

    /// Notes that a message arrived.
    pub(super) fn arrived(&self) {
        self.returns().arrived(tokio::time::Instant::now());
    }

    /// Notes that a worker answers a batch.
    pub(super) fn answered(&self, size: u16) {
        let moment = moment(&self.lock(), size);
        self.returns().answered(size, tokio::time::Instant::now(), moment);
    }

    /// Decides whether a worker that has answered a batch of `size` pauses, so that its clients' next messages and those
    /// that wait are one batch.
    pub(super) fn pause<'a>(
        &self,
        size: u16,
        mut waiting: impl ExactSizeIterator<Item = &'a Delivery>,
    ) -> Option<Pause> {
        let curve = self.curve();
        let until = (usize::from(size) + waiting.len()).min(self.max.into());
        let pause = Pause { until, longest: moment(&curve, size) };
        let useful = until > waiting.len().max(1) && pays(&curve, size, pause.longest);
        let wanted =
            useful && self.returns().are_likely() && waiting.all(|other| self.can_wait(other, pause));
        wanted.then_some(pause)
    }

    /// Returns whether a delivery meets its deadline after a pause.
    pub(super) fn can_wait(&self, delivery: &Delivery, pause: Pause) -> bool {
        let size = u16::try_from(pause.until).unwrap_or(u16::MAX);
        let needed = pause.longest.saturating_add(self.lock().upper_bound(size));
        facts(delivery, Instant::now()).left >= needed
    }

    fn returns(&self) -> MutexGuard<'_, Returns> {
        self.returns.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Returns the moment after a batch within which its clients may send their next messages.
fn moment(curve: &Curve, size: u16) -> Duration {
    (curve.mean(size) / PAUSE).clamp(MIN_PAUSE, MAX_PAUSE)
}

/// Returns whether a pause is short compared with a batch, and with what one more batch costs. A pause that pays
/// mostly ends early.
fn pays(curve: &Curve, size: u16, pause: Duration) -> bool {
    curve.mean(0) >= pause / 2 && curve.mean(size) >= pause * PAUSE
}

/// A pause of a worker between two batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    /// How many messages wait when it ends early.
    pub(super) until: usize,
    pub(super) longest: Duration,
}

fn facts(delivery: &Delivery, now: Instant) -> Waiting {
    let deadline = delivery.request.deadline.filter(|_| !delivery.request.replied());
    Waiting {
        workflow: delivery.request.route.index,
        bytes: delivery.payload.value().len(),
        left: deadline.map_or(Duration::MAX, |deadline| deadline.at.saturating_duration_since(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_short_and_pay() {
        for (about, base, each, size, expected) in [
            ("a large fixed cost", 7_000, 100, 32, Some(2_550)),
            ("a model that grows", 2_000, 250, 32, Some(2_500)),
            ("no fixed cost", 0, 1_000, 32, None),
            ("a fast handler", 1_000, 0, 32, None),
            ("a slow handler", 200_000, 0, 2, Some(20_000)),
        ] {
            let mut curve = Curve::default();
            for size in [1, 33, 65] {
                curve.observe(size, Duration::from_micros(base + each * u64::from(size)));
            }
            let longest = moment(&curve, size);
            assert_eq!(pays(&curve, size, longest), expected.is_some(), "{about}: {longest:?}");
            if let Some(micros) = expected {
                assert!(
                    longest.abs_diff(Duration::from_micros(micros)) < Duration::from_micros(5),
                    "{about}"
                );
            }
        }
    }
}
