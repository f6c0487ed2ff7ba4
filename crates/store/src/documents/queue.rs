//! Saves on their way to the writer, bounded in memory.

use crate::error::Error;
use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How much memory documents may take while they wait, KiB. More than the largest document.
const BUDGET: u32 = 64 << 10;

/// A document that waits to be committed.
#[derive(Debug)]
pub(crate) struct Save {
    pub(crate) collection: String,
    /// The `_id`, encoded, and as who reads an error should see it.
    pub(crate) key: Vec<u8>,
    pub(crate) id: bson::Bson,
    pub(crate) data: Vec<u8>,
    pub(crate) done: oneshot::Sender<Result<bson::Bson, Error>>,
    /// Its share of the memory.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Saves that wait. Many push, one takes.
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

/// What the writer took.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) saves: Vec<Save>,
    /// Nothing comes after these.
    pub(crate) closed: bool,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let budget = Arc::new(Semaphore::new(BUDGET as usize));
        Self { state: Mutex::default(), pushed: Condvar::new(), budget }
    }

    /// Waits until there is room for a document of so many bytes.
    pub(crate) async fn room(&self, size: usize) -> Result<OwnedSemaphorePermit, Error> {
        let share = u32::try_from(size / 1024 + 1).unwrap_or(BUDGET).min(BUDGET);
        Arc::clone(&self.budget).acquire_many_owned(share).await.map_err(|_| Error::Closed)
    }

    /// Adds a save; one that comes too late is dropped, which its `done` tells.
    pub(crate) fn push(&self, save: Save) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.saves.push(save);
        drop(state);
        self.pushed.notify_one();
    }

    /// Takes all that wait, or nothing after a while.
    pub(crate) fn take(&self, patience: Duration) -> Taken {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        while state.saves.is_empty() && !state.closed {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            state = self.pushed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Taken { saves: mem::take(&mut state.saves), closed: state.closed }
    }

    /// Lets nothing in any more; the writer still takes what waits.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.budget.close();
        self.pushed.notify_one();
    }

    /// Also after a panic elsewhere: the list is whole between calls.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
