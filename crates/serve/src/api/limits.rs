//! Limits attempts to sign in, and how many passwords are hashed at a time.
//!
//! Attempts are counted per address and login, so guessing a user's password from one place does not lock
//! that user out elsewhere. A second, larger limit counts all attempts of an address.

use super::refusal::{Code, Refusal};
use krt_registry::attempts::{Allowance, Attempts};
use std::{
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Attempts for one user from one address.
const PER_USER: Allowance = Allowance { free: 8, every: Duration::from_secs(60) };
/// Attempts for any user from one address.
const PER_ADDRESS: Allowance = Allowance { free: 32, every: Duration::from_secs(15) };
/// Redirects to the OpenID provider and back, from one address.
const OPENID: Allowance = Allowance { free: 30, every: Duration::from_secs(2) };
/// How many passwords are hashed at a time, each in 19 MiB, and how many more may wait.
const MAX_HASHES: usize = 2;
const MAX_WAITING: usize = 256;
/// How many characters of a login are compared; no login has more.
const MAX_LOGIN: usize = 64;

/// The origin of attempts: an IPv4 address, or the 64-bit prefix of an IPv6 address, which belongs to one
/// customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address => address,
        })
    }
}

/// The counted attempts.
#[derive(Debug)]
pub(super) struct Limits {
    users: Attempts<(Network, String)>,
    addresses: Attempts<Network>,
    openid: Attempts<Network>,
    hashes: Semaphore,
    room: Semaphore,
}

/// A permit to hash a password, held until it is dropped.
#[derive(Debug)]
pub(super) struct Hashing<'a> {
    _room: SemaphorePermit<'a>,
    _hash: SemaphorePermit<'a>,
}

/// An attempt to sign in, which counts unless it [succeeds](Self::succeeded) or is undone.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    limits: &'a Limits,
    key: (Network, String),
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            users: Attempts::new(PER_USER),
            addresses: Attempts::new(PER_ADDRESS),
            openid: Attempts::new(OPENID),
            hashes: Semaphore::new(MAX_HASHES),
            room: Semaphore::new(MAX_HASHES + MAX_WAITING),
        }
    }

    /// Begins an attempt to sign in, unless there were too many.
    pub(super) fn attempt(&self, from: IpAddr, login: &str) -> Result<Attempt<'_>, Refusal> {
        let (network, now) = (Network::from(from), Instant::now());
        let key = (network, login.chars().take(MAX_LOGIN).collect::<String>().to_lowercase());
        self.addresses.start(&network, now).map_err(Refusal::wait)?;
        self.users.start(&key, now).map_err(|wait| {
            self.addresses.undo(&network);
            Refusal::wait(wait)
        })?;
        Ok(Attempt { limits: self, key })
    }

    /// Begins a redirect to the OpenID provider or back, unless there were too many.
    pub(super) fn openid(&self, from: IpAddr) -> Result<(), Refusal> {
        self.openid.start(&from.into(), Instant::now()).map_err(Refusal::wait)
    }

    /// Clears the count after a user has signed in at the OpenID provider.
    pub(super) fn openid_succeeded(&self, from: IpAddr) {
        self.openid.succeeded(&from.into());
    }

    /// Waits for a turn to hash a password; fails when too many wait.
    pub(super) async fn hashing(&self) -> Result<Hashing<'_>, Refusal> {
        let busy = |_| Refusal::new(Code::Unavailable, "too many sign in at this moment").hint("try again");
        let room = self.room.try_acquire().map_err(busy)?;
        let hash = self.hashes.acquire().await.expect("the semaphore is never closed");
        Ok(Hashing { _room: room, _hash: hash })
    }
}

impl<'a> Attempt<'a> {
    /// The login, as it is counted.
    pub(super) fn login(&self) -> &str {
        &self.key.1
    }

    /// Waits for a turn to hash the password. An attempt that finds no turn does not count.
    pub(super) async fn hashing(self) -> Result<(Self, Hashing<'a>), Refusal> {
        match self.limits.hashing().await {
            Ok(hashing) => Ok((self, hashing)),
            Err(busy) => {
                self.undo();
                Err(busy)
            }
        }
    }

    /// The password was right: forgets this user's attempts. Attempts for other users from this address still
    /// count.
    pub(super) fn succeeded(self) {
        self.limits.users.succeeded(&self.key);
        self.limits.addresses.undo(&self.key.0);
    }

    /// Takes the attempt back: no password was checked.
    pub(super) fn undo(self) {
        self.limits.users.undo(&self.key);
        self.limits.addresses.undo(&self.key.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks() {
        let same = |one, other| Network::from(address(one)) == Network::from(address(other));
        assert!(same("10.0.0.1", "::ffff:10.0.0.1"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("10.0.0.1", "10.0.0.2"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    }

    #[test]
    fn failures_lock_users_out_for_one_address_only() {
        let limits = Limits::new();
        let tries = |from, login| limits.attempt(address(from), login).is_ok();
        for _ in 0..PER_USER.free {
            assert!(tries("10.0.0.1", "ada"));
        }
        assert!(!tries("10.0.0.1", "ADA"));
        assert!(tries("10.0.0.2", "ada"));
        assert!(tries("10.0.0.1", "grace"));
    }

    #[test]
    fn each_address_tries_a_limited_number_of_users() {
        let limits = Limits::new();
        let tries = |from, login: &str| limits.attempt(address(from), login);
        for number in 0..PER_ADDRESS.free {
            assert!(tries("2001:db8::1", &format!("user{number}")).is_ok());
            // Signing in as one's own user does not reset the address's limit.
            tries("10.0.0.1", "eve").unwrap().succeeded();
        }
        assert!(tries("2001:db8::2", "another").is_err());
        assert!(tries("10.0.0.1", "another").is_ok());
    }

    #[test]
    fn refused_and_undone_attempts_do_not_count() {
        let limits = Limits::new();
        for _ in 0..100 {
            limits.attempt(address("10.0.0.1"), "grace").unwrap().undo();
        }
        let ada = (0..100).filter(|_| limits.attempt(address("10.0.0.1"), "ada").is_ok()).count();
        assert_eq!(ada, PER_USER.free as usize);
        assert!(limits.attempt(address("10.0.0.1"), "grace").is_ok());
    }

    #[tokio::test]
    async fn the_number_of_waiting_attempts_is_bounded() {
        let limits = Limits::new();
        let (one, two) = (limits.hashing().await.unwrap(), limits.hashing().await.unwrap());
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(limits.hashing())).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one).is_pending());
        }
        assert!(limits.hashing().await.is_err());
        drop((one, two));
        let first = waiting.remove(0).await.unwrap();
        drop(first);
        drop(waiting);
        assert!(limits.hashing().await.is_ok());
    }
}
