//! What a provider says of itself: its endpoints and keys.
//!
//! Many sign-ins that need it at the same time cause one request, and share its outcome.

use super::Endpoints;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a discovery document is valid. Providers announce new keys before they use them.
const VALID_FOR: Duration = Duration::from_secs(300);

/// The last answer of a provider, or why there was none.
#[derive(Debug)]
pub(super) struct Discovery<T = Endpoints> {
    /// Held by the one that asks.
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Option<Attempt<T>>>,
}

#[derive(Debug, Clone)]
struct Attempt<T> {
    ended: Instant,
    outcome: Result<T, String>,
}

impl<T> Default for Discovery<T> {
    fn default() -> Self {
        Self { turn: tokio::sync::Mutex::default(), last: Mutex::default() }
    }
}

impl<T: Clone> Discovery<T> {
    /// What the provider has said lately, else what it says when asked.
    pub(super) async fn get(&self, ask: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let came = Instant::now();
        if let Some(known) = self.find(Attempt::is_valid) {
            return known;
        }
        let _turn = self.turn.lock().await;
        if let Some(shared) = self.find(|last| last.is_valid() || last.ended >= came) {
            return shared;
        }
        let outcome = ask.await;
        let attempt = Attempt { ended: Instant::now(), outcome: outcome.clone() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(attempt);
        outcome
    }

    fn find(&self, holds: impl FnOnce(&Attempt<T>) -> bool) -> Option<Result<T, String>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|last| holds(last)).map(|last| last.outcome.clone())
    }
}

impl<T> Attempt<T> {
    fn is_valid(&self) -> bool {
        self.outcome.is_ok() && self.ended.elapsed() < VALID_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Many that ask at the same time; returns their outcomes, and how often the provider was asked.
    async fn ask_together(outcome: Result<u8, String>) -> (Vec<Result<u8, String>>, usize) {
        let (discovery, asked) = (Discovery::default(), AtomicUsize::new(0));
        let one = || {
            discovery.get(async {
                asked.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                outcome.clone()
            })
        };
        let outcomes = join_all((0..50).map(|_| one())).await;
        let first = asked.load(Ordering::SeqCst);
        // A failure is not kept for those that come later.
        let _ = one().await;
        let again = asked.load(Ordering::SeqCst) - first;
        assert_eq!(again, usize::from(outcome.is_err()));
        (outcomes, first)
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_outcome() {
        for outcome in [Ok(1), Err("away".to_owned())] {
            assert_eq!(ask_together(outcome.clone()).await, (vec![outcome; 50], 1));
        }
    }

    #[tokio::test]
    async fn a_cancelled_request_does_not_block_the_next() {
        let discovery = Discovery::default();
        let gone = discovery.get(std::future::pending());
        assert!(futures::FutureExt::now_or_never(gone).is_none());
        assert_eq!(discovery.get(async { Ok(7) }).await, Ok(7));
    }
}
