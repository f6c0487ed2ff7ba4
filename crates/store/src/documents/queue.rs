//! The queue of saves for the writer, bounded in memory.

use crate::error::Error;
use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The memory of all queued documents, in KiB. More than the largest document.
const BUDGET: u32 = 64 << 10;

/// A document that waits for a commit.
#[derive(Debug)]
pub(crate) struct Save {
    pub(crate) collection: String,
    /// The `_id`, encoded, and as it appears in errors.
    pub(crate) key: Vec<u8>,
    pub(crate) id: bson::Bson,
    pub(crate) data: Vec<u8>,
    pub(crate) done: oneshot::Sender<Result<bson::Bson, Error>>,
    /// The ordered group that it belongs to, if any.
    pub(crate) order: Option<SaveGroup>,
    /// Its share of the memory.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// A group of documents that are saved in order: after one fails, the rest are not saved.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaveGroup(Arc<AtomicBool>);

impl SaveGroup {
    pub(crate) fn fail(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The queue. Many callers push, the writer takes.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    pushed: Condvar,
    budget: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    saves: Vec<Save>,
    closed: bool,
}

/// Saves that the writer took.
#[derive(Debug)]
pub(crate) struct TakenSaves {
    pub(crate) saves: Vec<Save>,
    /// The queue is closed; no more will follow.
    pub(crate) closed: bool,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let budget = Arc::new(Semaphore::new(BUDGET as usize));
        Self { state: Mutex::default(), pushed: Condvar::new(), budget }
    }

    /// Waits for room for a document of this many bytes.
    pub(crate) async fn room(&self, size: usize) -> Result<OwnedSemaphorePermit, Error> {
        let share = u32::try_from(size / 1024 + 1).unwrap_or(BUDGET).min(BUDGET);
        Arc::clone(&self.budget).acquire_many_owned(share).await.map_err(|_| Error::Closed)
    }

    /// Adds a save; after the close it is dropped, which its `done` signals.
    pub(crate) fn push(&self, save: Save) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.saves.push(save);
        drop(state);
        self.pushed.notify_one();
    }

    /// Takes all waiting saves, or none after `timeout`.
    pub(crate) fn take(&self, timeout: Duration) -> TakenSaves {
        let until = Instant::now() + timeout;
        let mut state = self.lock();
        while state.saves.is_empty() && !state.closed {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            state = self.pushed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        TakenSaves { saves: mem::take(&mut state.saves), closed: state.closed }
    }

    /// Refuses further saves; the writer still takes the waiting ones.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.budget.close();
        self.pushed.notify_one();
    }

    /// Ignores poisoning: the list is consistent between calls.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
