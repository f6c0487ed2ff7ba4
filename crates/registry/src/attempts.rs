//! Rate limits for attempts, such as to sign in.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The most keys remembered.
const MAX_KEYS: usize = 10_000;

/// How many attempts are free, and how long each is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Attempts without a wait.
    pub free: u32,
    /// After this long, one more is free.
    pub every: Duration,
}

/// Counts attempts by key. An attempt counts from its beginning, so concurrent attempts gain nothing over
/// sequential ones; attempts are forgotten one by one, one per `every`.
///
/// Memory is bounded: with too many keys, those are dropped that would be forgotten first.
#[derive(Debug)]
pub struct Attempts<Key> {
    allowance: Allowance,
    /// When all attempts of a key are forgotten.
    clear: Mutex<HashMap<Key, Instant>>,
}

impl<Key: Hash + Eq + Clone> Attempts<Key> {
    /// An empty count.
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, clear: Mutex::default() }
    }

    /// Starts an attempt, which counts until it [succeeds](Self::succeeded); the error is the wait for the
    /// next one.
    pub fn start(&self, key: &Key, now: Instant) -> Result<(), Duration> {
        let mut all = self.lock();
        let clear = all.get(key).copied().unwrap_or(now).max(now);
        let allowed = now + self.allowance.every * self.allowance.free.saturating_sub(1);
        if let Some(wait) = clear.checked_duration_since(allowed).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        if all.len() >= MAX_KEYS && !all.contains_key(key) {
            make_room(&mut all, now);
        }
        all.insert(key.clone(), clear + self.allowance.every);
        Ok(())
    }

    /// Takes an attempt back that was not made.
    pub fn undo(&self, key: &Key) {
        let mut all = self.lock();
        if let Some(clear) = all.get_mut(key) {
            *clear = clear.checked_sub(self.allowance.every).unwrap_or(*clear);
        }
    }

    /// Forgets all attempts of a key after a success.
    pub fn succeeded(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Instant>> {
        self.clear.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the keys that are free again, or else the tenth of all keys that will be free first.
fn make_room<Key: Hash + Eq>(all: &mut HashMap<Key, Instant>, now: Instant) {
    all.retain(|_, clear| *clear > now);
    if all.len() >= MAX_KEYS {
        let mut clear: Vec<Instant> = all.values().copied().collect();
        let tenth = *clear.select_nth_unstable(MAX_KEYS / 10).1;
        all.retain(|_, clear| *clear > tenth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: u32 = 8;
    const EVERY: Duration = Duration::from_secs(60);

    fn attempts<Key: Hash + Eq + Clone>() -> Attempts<Key> {
        Attempts::new(Allowance { free: FREE, every: EVERY })
    }

    #[test]
    fn after_eight_attempts_one_a_minute() {
        let (attempts, start) = (attempts(), Instant::now());
        for _ in 0..FREE {
            assert_eq!(attempts.start(&"ada", start), Ok(()));
        }
        assert_eq!(attempts.start(&"ada", start), Err(EVERY));
        assert_eq!(attempts.start(&"grace", start), Ok(()));
        assert_eq!(attempts.start(&"ada", start + EVERY), Ok(()));
        assert!(attempts.start(&"ada", start + EVERY).is_err());
    }

    #[test]
    fn successes_reset_and_undone_attempts_do_not_count() {
        let (attempts, now) = (attempts(), Instant::now());
        (0..FREE).for_each(|_| attempts.start(&"ada", now).unwrap());
        attempts.undo(&"ada");
        assert_eq!(attempts.start(&"ada", now), Ok(()));
        assert!(attempts.start(&"ada", now).is_err());
        attempts.succeeded(&"ada");
        assert_eq!(attempts.start(&"ada", now), Ok(()));
    }

    #[test]
    fn keys_are_bounded_and_the_most_failures_remembered() {
        let (attempts, now) = (attempts(), Instant::now());
        (0..FREE).for_each(|_| attempts.start(&usize::MAX, now).unwrap());
        for key in 0..3 * MAX_KEYS {
            attempts.start(&key, now).unwrap();
        }
        assert!(attempts.lock().len() <= MAX_KEYS);
        assert!(attempts.start(&usize::MAX, now).is_err());
    }
}
