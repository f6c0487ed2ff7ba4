//! How often somebody may try a password.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures that are free, and how long one of them is remembered.
const FREE: u32 = 8;
const FORGOTTEN: Duration = Duration::from_secs(60);
/// How many keys are remembered; beyond, all are forgotten that may try again.
const KEYS: usize = 10_000;

/// Who failed how often. A failure is forgotten a minute after the one before was.
#[derive(Debug)]
pub struct Attempts<Key>(Mutex<HashMap<Key, Instant>>);

impl<Key> Default for Attempts<Key> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Key: Hash + Eq> Attempts<Key> {
    /// How long to wait before the next attempt; `None`: it may be made now.
    pub fn wait(&self, key: &Key, now: Instant) -> Option<Duration> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let clear = *failures.get(key)?;
        let allowed = now + FORGOTTEN * (FREE - 1);
        clear.checked_duration_since(allowed).filter(|wait| !wait.is_zero())
    }

    /// An attempt failed.
    pub fn failed(&self, key: Key, now: Instant) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= KEYS {
            failures.retain(|_, clear| *clear > now);
        }
        let clear = failures.entry(key).or_insert(now);
        *clear = (*clear).max(now) + FORGOTTEN;
    }

    /// An attempt succeeded: the failures before it were slips.
    pub fn succeeded(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_eight_failures_one_a_minute() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for _ in 0..FREE {
            assert_eq!(attempts.wait(&"ada", start), None);
            attempts.failed("ada", start);
        }
        assert_eq!(attempts.wait(&"ada", start), Some(FORGOTTEN));
        assert_eq!(attempts.wait(&"grace", start), None);
        assert_eq!(attempts.wait(&"ada", start + FORGOTTEN), None);
        attempts.failed("ada", start + FORGOTTEN);
        assert!(attempts.wait(&"ada", start + FORGOTTEN).is_some());
    }

    #[test]
    fn a_success_forgives() {
        let attempts = Attempts::default();
        let now = Instant::now();
        (0..FREE).for_each(|_| attempts.failed("ada", now));
        attempts.succeeded(&"ada");
        assert_eq!(attempts.wait(&"ada", now), None);
    }
}
