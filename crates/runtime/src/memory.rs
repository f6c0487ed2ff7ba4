//! Limits the total memory of requests.
//!
//! - A [`Pool`] has a limit. A holder of memory has a [`Reservation`] in it, which grows before the memory
//!   does.
//! - [`Buffer`] is a byte buffer that grows with its reservation.
//! - [`Reservation::hold`] ties a reservation to bytes: they count until the last reference to them is
//!   dropped, for example in a queue, or in a response that its client does not read.

mod buffer;

pub use buffer::{Buffer, FillError, Refused};

use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A limit on the bytes held at a time.
#[derive(Debug)]
pub struct Pool {
    limit: usize,
    used: AtomicUsize,
}

/// The pool has no room for more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no more than {limit} bytes may be held at a time")]
pub struct Full {
    /// The pool's limit, in bytes.
    pub limit: usize,
}

/// A share of a pool, freed when dropped.
#[derive(Debug)]
pub struct Reservation {
    pool: Arc<Pool>,
    size: usize,
}

impl Pool {
    /// Creates a pool of that many bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// Creates a pool without a limit, for work outside of serving clients.
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// The limit, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the bytes held.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Fails if there is currently no room for `bytes` more. Reserves nothing.
    pub fn check(&self, bytes: usize) -> Result<(), Full> {
        if bytes > self.limit.saturating_sub(self.used()) { Err(Full { limit: self.limit }) } else { Ok(()) }
    }

    /// Returns an empty reservation.
    pub fn reserve(self: &Arc<Self>) -> Reservation {
        Reservation { pool: Arc::clone(self), size: 0 }
    }
}

impl Reservation {
    /// The bytes reserved.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Reserves more bytes.
    pub fn try_grow(&mut self, bytes: usize) -> Result<(), Full> {
        let limit = self.pool.limit;
        let grown = |used: usize| used.checked_add(bytes).filter(|&used| used <= limit);
        let grown = self.pool.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, grown);
        grown.map_err(|_| Full { limit })?;
        self.size += bytes;
        Ok(())
    }

    /// Frees bytes, at most those reserved.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.size);
        self.size -= bytes;
        self.pool.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Grows or shrinks to that many bytes.
    pub fn try_resize(&mut self, to: usize) -> Result<(), Full> {
        match to.checked_sub(self.size) {
            Some(more) => self.try_grow(more),
            None => {
                self.shrink(self.size - to);
                Ok(())
            }
        }
    }

    /// Returns an empty reservation in the same pool.
    pub fn another(&self) -> Self {
        self.pool.reserve()
    }

    /// Moves the reserved bytes into a new reservation, so that later ones count separately.
    pub fn take(&mut self) -> Self {
        let size = std::mem::take(&mut self.size);
        Self { pool: Arc::clone(&self.pool), size }
    }

    /// Ties the reservation to bytes: it is freed when the last reference to them is dropped.
    pub fn hold(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held { bytes, _reservation: self })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.size);
    }
}

struct Held {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests;
