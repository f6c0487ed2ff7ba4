//! Sign-ins that were begun, and whose browsers are at the provider's.

use openidconnect::{Nonce, PkceCodeVerifier};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq as _;

/// How long somebody may take at the provider's.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How many are remembered; the oldest is forgotten for one more.
const MOST: usize = 1_000;

/// A sign-in that was begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// What the browser has as a cookie: who comes back must be who was sent.
    pub(super) binding: String,
    /// What the ID token must have.
    pub(super) nonce: Nonce,
    /// What proves that the code was made for this server.
    pub(super) verifier: PkceCodeVerifier,
    /// The page that the user wanted to see.
    pub(super) next: String,
    /// When.
    pub(super) at: Instant,
}

/// Those that were begun, by the state that the provider gives back.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<HashMap<String, Begun>>);

impl Pending {
    pub(super) fn begin(&self, state: String, begun: Begun) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, other| begun.at.duration_since(other.at) < PATIENCE);
            let oldest = all.iter().min_by_key(|(_, other)| other.at).map(|(state, _)| state.clone());
            if let Some(oldest) = oldest.filter(|_| all.len() >= MOST) {
                all.remove(&oldest);
            }
        }
        all.insert(state, begun);
    }

    /// Takes one out: each comes back once, and only in its browser.
    pub(super) fn take(&self, state: &str, binding: &str, now: Instant) -> Option<Begun> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = all.get(state)?;
        if !bool::from(begun.binding.as_bytes().ct_eq(binding.as_bytes())) {
            return None;
        }
        all.remove(state).filter(|begun| now.duration_since(begun.at) < PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(binding: &str, at: Instant) -> Begun {
        Begun {
            binding: binding.to_owned(),
            nonce: Nonce::new(String::new()),
            verifier: PkceCodeVerifier::new("a".repeat(43)),
            next: "/".to_owned(),
            at,
        }
    }

    #[test]
    fn one_comes_back_once_in_its_browser_and_in_time() {
        let (pending, now) = (Pending::default(), Instant::now());
        pending.begin("state".to_owned(), begun("mine", now));
        assert!(pending.take("state", "another's", now).is_none());
        assert!(pending.take("other", "mine", now).is_none());
        assert!(pending.take("state", "mine", now).is_some());
        assert!(pending.take("state", "mine", now).is_none());
        pending.begin("late".to_owned(), begun("mine", now));
        assert!(pending.take("late", "mine", now + PATIENCE).is_none());
    }

    #[test]
    fn the_oldest_makes_room() {
        let (pending, now) = (Pending::default(), Instant::now());
        for number in 0..=MOST {
            pending.begin(number.to_string(), begun("mine", now + Duration::from_millis(number as u64)));
        }
        assert!(pending.take("0", "mine", now).is_none());
        assert!(pending.take("1", "mine", now).is_some());
        assert!(pending.take(&MOST.to_string(), "mine", now).is_some());
    }
}
