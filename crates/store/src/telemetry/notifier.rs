//! Wakes the writer of telemetry.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::oneshot;

/// Wakes the writer, which takes the reasons with [`Notifier::wait`].
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    calls: Mutex<WakeReasons>,
    rung: Condvar,
}

/// The reasons to wake the writer.
#[derive(Debug, Default)]
pub(crate) struct WakeReasons {
    /// Something waits to be written.
    pub(crate) first: bool,
    /// A buffer is filling up.
    pub(crate) urgent: bool,
    /// Write everything and end.
    pub(crate) close: bool,
    /// Callers that wait for a flush.
    pub(crate) flushes: Vec<oneshot::Sender<()>>,
    /// The writer has ended.
    ended: bool,
}

impl WakeReasons {
    fn is_none(&self) -> bool {
        !self.first && !self.urgent && !self.close && self.flushes.is_empty()
    }
}

impl Notifier {
    /// Wakes the writer; drops `what` when it has ended.
    pub(crate) fn ring(&self, what: impl FnOnce(&mut WakeReasons)) {
        let mut calls = self.lock();
        if !calls.ended {
            what(&mut calls);
            self.rung.notify_one();
        }
    }

    /// Marks the writer as ended and releases waiting callers.
    pub(crate) fn end(&self) {
        *self.lock() = WakeReasons { ended: true, ..WakeReasons::default() };
    }

    /// Waits for a call, or until `until`.
    pub(crate) fn wait(&self, until: Instant) -> WakeReasons {
        let mut calls = self.lock();
        while calls.is_none() {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            calls = self.rung.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        mem::take(&mut calls)
    }

    fn lock(&self) -> MutexGuard<'_, WakeReasons> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
