//! The messages of a streamed answer that its client has not taken.
//!
//! A handler sends a few of them, then waits: a client that reads slowly holds its handler back, and the engine keeps
//! little. The worker counts what it has sent, and the engine tells it what the client has taken (CREDIT).

use super::frame::HelloStream;
use crate::flow::{Credit, Sender};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How much of an answer may wait for its client.
pub const WINDOW: HelloStream = HelloStream { messages: 32, bytes: 256 << 10 };

/// The stream of one delivery.
pub(super) struct Stream {
    /// Sends a CREDIT: messages, and their bytes.
    credit: Box<dyn Fn(u32, usize) + Send + Sync>,
    balance: Mutex<Balance>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("balance", &self.balance).finish_non_exhaustive()
    }
}

/// Messages, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Amount {
    messages: u32,
    bytes: usize,
}

/// What the worker has sent, and may not send again yet.
#[derive(Debug, Default)]
struct Balance {
    /// Sent, without a CREDIT.
    owed: Amount,
    /// The part of it that the client has taken.
    taken: Amount,
}

/// A worker has sent more than it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exceeded;

impl Stream {
    /// `credit` sends a CREDIT: messages, and their bytes.
    pub(super) fn new(credit: impl Fn(u32, usize) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { credit: Box::new(credit), balance: Mutex::default() })
    }

    /// Notes a message of so many bytes. Returns its credit.
    pub(super) fn received(self: &Arc<Self>, bytes: usize) -> Result<Credit, Exceeded> {
        self.lock().receive(bytes)?;
        Ok(Credit::new(Arc::clone(self) as _, bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Balance> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender for Stream {
    fn taken(&self, bytes: usize) {
        let credit = self.lock().take(bytes);
        if let Some(Amount { messages, bytes }) = credit {
            (self.credit)(messages, bytes);
        }
    }
}

impl Balance {
    fn receive(&mut self, bytes: usize) -> Result<(), Exceeded> {
        if self.owed.messages >= WINDOW.messages || self.owed.bytes >= WINDOW.bytes {
            return Err(Exceeded);
        }
        self.owed.messages += 1;
        self.owed.bytes += bytes;
        Ok(())
    }

    /// Returns the credit to send, once it is half of the window. A worker that waits has sent a whole window, so that
    /// the client has something to take until then.
    fn take(&mut self, bytes: usize) -> Option<Amount> {
        self.taken.messages += 1;
        self.taken.bytes += bytes;
        if self.taken.messages < WINDOW.messages / 2 && self.taken.bytes < WINDOW.bytes / 2 {
            return None;
        }
        let credit = std::mem::take(&mut self.taken);
        self.owed.messages -= credit.messages;
        self.owed.bytes -= credit.bytes;
        Some(credit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// The worker's count of what it has sent without a CREDIT.
    #[derive(Debug, Default)]
    struct Worker(Amount);

    impl Worker {
        fn may_send(&self) -> bool {
            self.0.messages < WINDOW.messages && self.0.bytes < WINDOW.bytes
        }
    }

    proptest! {
        /// Whatever the sizes and the order of sending and taking: a worker that keeps to its count is never refused,
        /// what waits is bounded, and a worker that waits can send again once the client has taken everything.
        #[test]
        fn credit_is_never_lost(
            sizes in proptest::collection::vec(0..WINDOW.bytes * 2, 1..200),
            order in proptest::collection::vec(any::<bool>(), 1..600),
        ) {
            let (mut balance, mut worker) = (Balance::default(), Worker::default());
            let (mut waiting, mut order) = (VecDeque::new(), order.into_iter().cycle());
            let largest = WINDOW.bytes * 2;
            let mut sizes = sizes.into_iter().peekable();
            while sizes.peek().is_some() || !waiting.is_empty() {
                let sends = order.next().unwrap() || waiting.is_empty();
                if sends && let Some(&size) = sizes.peek() && worker.may_send() {
                    sizes.next();
                    worker.0.messages += 1;
                    worker.0.bytes += size;
                    prop_assert_eq!(balance.receive(size), Ok(()));
                    waiting.push_back(size);
                } else if let Some(size) = waiting.pop_front() {
                    if let Some(credit) = balance.take(size) {
                        worker.0.messages -= credit.messages;
                        worker.0.bytes -= credit.bytes;
                    }
                } else {
                    prop_assert!(worker.may_send(), "{worker:?} waits for ever");
                }
                prop_assert!(waiting.len() <= WINDOW.messages as usize);
                prop_assert!(waiting.iter().sum::<usize>() < WINDOW.bytes + largest);
            }
        }
    }

    #[test]
    fn a_worker_without_credit_is_refused() {
        let mut many = Balance::default();
        for _ in 0..WINDOW.messages {
            assert_eq!(many.receive(1), Ok(()));
        }
        assert_eq!(many.receive(1), Err(Exceeded));
        let mut large = Balance::default();
        assert_eq!(large.receive(WINDOW.bytes), Ok(()));
        assert_eq!(large.receive(1), Err(Exceeded));
        assert_eq!(large.take(WINDOW.bytes), Some(Amount { messages: 1, bytes: WINDOW.bytes }));
        assert_eq!(large.receive(1), Ok(()));
    }
}
