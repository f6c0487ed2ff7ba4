//! Sign-ins in progress, whose browsers are at the provider.

use openidconnect::{Nonce, PkceCodeVerifier};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq as _;

/// How long a user may take at the provider.
pub const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(600);
/// The most sign-ins in progress; one more evicts the oldest of the address that has begun most.
const MAX_PENDING: usize = 2_000;

/// A sign-in in progress.
#[derive(Debug)]
pub(super) struct PendingSignIn {
    /// The browser's cookie: the browser that returns must be the one that was sent.
    pub(super) binding: String,
    /// The nonce that the ID token must have.
    pub(super) nonce: Nonce,
    /// Proves that the code was issued to this server.
    pub(super) verifier: PkceCodeVerifier,
    /// The client's address, so that no client can evict the sign-ins of others.
    pub(super) from: IpAddr,
    /// The page that the user wanted.
    pub(super) next: String,
    /// When it began.
    pub(super) at: Instant,
}

/// Sign-ins by state, which the provider returns.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<HashMap<String, PendingSignIn>>);

impl Pending {
    pub(super) fn insert(&self, state: String, begun: PendingSignIn) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_PENDING {
            all.retain(|_, other| begun.at.duration_since(other.at) < SIGN_IN_TIMEOUT);
            if all.len() >= MAX_PENDING {
                make_room(&mut all);
            }
        }
        all.insert(state, begun);
    }

    /// Takes a sign-in out: each returns once, and only in its browser.
    pub(super) fn take(&self, state: &str, binding: &str, now: Instant) -> Option<PendingSignIn> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = all.get(state)?;
        if !bool::from(begun.binding.as_bytes().ct_eq(binding.as_bytes())) {
            return None;
        }
        all.remove(state).filter(|begun| now.duration_since(begun.at) < SIGN_IN_TIMEOUT)
    }
}

/// Evicts the oldest sign-in of the address that has begun most.
fn make_room(all: &mut HashMap<String, PendingSignIn>) {
    let mut counts: HashMap<IpAddr, usize> = HashMap::new();
    all.values().for_each(|begun| *counts.entry(begun.from).or_default() += 1);
    let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(from, _)| from);
    let of_most = all.iter().filter(|(_, begun)| Some(begun.from) == most);
    let oldest = of_most.min_by_key(|(_, begun)| begun.at).map(|(state, _)| state.clone());
    oldest.map(|oldest| all.remove(&oldest));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(binding: &str, at: Instant) -> PendingSignIn {
        PendingSignIn {
            binding: binding.to_owned(),
            nonce: Nonce::new(String::new()),
            verifier: PkceCodeVerifier::new("a".repeat(43)),
            from: IpAddr::from([10, 0, 0, 1]),
            next: "/".to_owned(),
            at,
        }
    }

    #[test]
    fn sign_ins_complete_once_in_their_browser_and_in_time() {
        let (pending, now) = (Pending::default(), Instant::now());
        pending.insert("state".to_owned(), begun("mine", now));
        assert!(pending.take("state", "another's", now).is_none());
        assert!(pending.take("other", "mine", now).is_none());
        assert!(pending.take("state", "mine", now).is_some());
        assert!(pending.take("state", "mine", now).is_none());
        pending.insert("late".to_owned(), begun("mine", now));
        assert!(pending.take("late", "mine", now + SIGN_IN_TIMEOUT).is_none());
    }

    #[test]
    fn the_oldest_sign_in_makes_room() {
        let (pending, now) = (Pending::default(), Instant::now());
        for number in 0..=MAX_PENDING {
            pending.insert(number.to_string(), begun("mine", now + Duration::from_millis(number as u64)));
        }
        assert!(pending.take("0", "mine", now).is_none());
        assert!(pending.take("1", "mine", now).is_some());
        assert_eq!(pending.0.lock().unwrap().len(), MAX_PENDING - 1);
        assert!(pending.take(&MAX_PENDING.to_string(), "mine", now).is_some());
    }

    #[test]
    fn many_sign_ins_of_one_address_displace_no_others() {
        let (pending, now) = (Pending::default(), Instant::now());
        let other = PendingSignIn { from: IpAddr::from([10, 0, 0, 2]), ..begun("mine", now) };
        pending.insert("another's".to_owned(), other);
        for number in 0..2 * MAX_PENDING {
            pending.insert(number.to_string(), begun("mine", now + Duration::from_millis(number as u64)));
        }
        assert_eq!(pending.0.lock().unwrap().len(), MAX_PENDING);
        assert!(pending.take("another's", "mine", now).is_some());
    }
}
