//! When a worker is replaced by a new one: `recycle` in `krt.yml`.

use krt_model::version::{Memory, Recycle};
use std::time::Duration;
use tokio::time::Instant;

/// Interval between looks at a worker.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long a worker stays whose replacement did not start.
const PAUSE: Duration = Duration::from_secs(60);

/// Shows how much a worker has handled and taken.
pub(super) struct Gauge {
    /// The id of its guard's process.
    guard: Option<u32>,
    /// Returns the number of deliveries that it has answered.
    answered: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// What the current worker of a replica may handle and take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    recycle: Recycle,
    not_before: Instant,
}

/// Why a worker is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecycleReason {
    /// It has answered so many messages.
    Requests(u64),
    /// It takes so much memory.
    Memory(Memory),
}

impl std::fmt::Display for RecycleReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Requests(requests) => write!(f, "it has answered {requests} messages"),
            Self::Memory(memory) => write!(f, "it takes {} of memory", mebibytes(*memory)),
        }
    }
}

fn mebibytes(memory: Memory) -> Memory {
    Memory(memory.0 >> 20 << 20)
}

impl Allowance {
    /// The allowance of a new worker. A worker that takes too much memory right after its start would be replaced again and
    /// again: its memory is left out. Returns that memory, too.
    pub(super) async fn of(recycle: Recycle, worker: &Gauge) -> (Self, Option<Memory>) {
        let excess = worker.memory_above(recycle.memory).await;
        let memory = recycle.memory.filter(|_| excess.is_none());
        (Self { recycle: Recycle { memory, ..recycle }, not_before: Instant::now() }, excess.map(mebibytes))
    }

    /// Leaves the worker alone for a while.
    pub(super) fn postpone(&mut self) {
        self.not_before = Instant::now() + PAUSE;
    }

    /// Waits until the worker has handled or taken as much as it may.
    pub(super) async fn limit_reached(self, worker: &Gauge) -> RecycleReason {
        if self.recycle == Recycle::default() {
            return std::future::pending().await;
        }
        tokio::time::sleep_until(self.not_before).await;
        loop {
            let answered = (worker.answered)();
            if self.recycle.requests.is_some_and(|most| answered >= u64::from(most)) {
                return RecycleReason::Requests(answered);
            }
            if let Some(memory) = worker.memory_above(self.recycle.memory).await {
                return RecycleReason::Memory(memory);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

impl Gauge {
    /// `guard` is the id of the worker's guard; `answered` returns the number of deliveries that it has answered.
    pub(super) fn new(guard: Option<u32>, answered: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { guard, answered: Box::new(answered) }
    }

    /// Reads the memory of the worker and of the processes that it started, if it is above `limit`.
    async fn memory_above(&self, limit: Option<Memory>) -> Option<Memory> {
        let (guard, limit) = (self.guard?, limit?);
        let read = tokio::task::spawn_blocking(move || krt_guard::memory_below(guard, limit.0));
        read.await.ok().filter(|memory| *memory > limit.0).map(Memory)
    }
}
