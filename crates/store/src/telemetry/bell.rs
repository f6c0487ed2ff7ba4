//! How the writer of telemetry is woken.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::oneshot;

/// Wakes the writer; it takes what it was woken for with [`Bell::wait`].
#[derive(Debug, Default)]
pub(crate) struct Bell {
    calls: Mutex<Calls>,
    rung: Condvar,
}

/// What the writer was woken for.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Something waits to be written some time.
    pub(crate) first: bool,
    /// A buffer fills.
    pub(crate) urgent: bool,
    /// To write what waits, and end.
    pub(crate) close: bool,
    /// Those who wait until what waits is written.
    pub(crate) flushes: Vec<oneshot::Sender<()>>,
    /// The writer has ended and hears nothing any more.
    ended: bool,
}

impl Calls {
    fn is_none(&self) -> bool {
        !self.first && !self.urgent && !self.close && self.flushes.is_empty()
    }
}

impl Bell {
    /// Wakes the writer for something; `what` is dropped where it has ended.
    pub(crate) fn ring(&self, what: impl FnOnce(&mut Calls)) {
        let mut calls = self.lock();
        if !calls.ended {
            what(&mut calls);
            self.rung.notify_one();
        }
    }

    /// Notes that the writer has ended; those who wait for it hear so.
    pub(crate) fn end(&self) {
        *self.lock() = Calls { ended: true, ..Calls::default() };
    }

    /// Waits until somebody rings or until then.
    pub(crate) fn wait(&self, until: Instant) -> Calls {
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

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
