//! A buffer that reserves its capacity before allocating it.

use super::{Full, Reservation};
use bytes::{Bytes, BytesMut};
use std::io::{self, Read};

/// Smallest capacity, in bytes.
const MIN_CAPACITY: usize = 4 << 10;

/// A byte buffer of limited length.
#[derive(Debug)]
pub struct Buffer {
    bytes: BytesMut,
    limit: usize,
    reservation: Reservation,
}

/// Why a buffer cannot grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its own limit.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The pool's limit.
    #[error(transparent)]
    Full(#[from] Full),
}

/// Why a buffer cannot be filled.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// It cannot grow.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The source failed.
    #[error(transparent)]
    Source(#[from] io::Error),
}

impl Buffer {
    /// Creates an empty buffer that may grow to `limit` bytes.
    pub fn new(reservation: Reservation, limit: usize) -> Self {
        Self { bytes: BytesMut::new(), limit, reservation }
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether the buffer is empty.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends bytes. `expected` is the total length, if known.
    pub fn extend(&mut self, more: &[u8], expected: usize) -> Result<(), Refused> {
        let needed = self.len() + more.len();
        if needed > self.limit {
            return Err(Refused::TooLarge { limit: self.limit });
        }
        if needed > self.bytes.capacity() {
            self.grow(needed, expected.min(self.limit))?;
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// Reads from a source until there are `enough` bytes. Returns whether the source has ended.
    pub fn fill(&mut self, source: &mut dyn Read, enough: usize) -> Result<bool, FillError> {
        let mut piece = [0; 16 << 10];
        while self.len() < enough {
            match source.read(&mut piece)? {
                0 => return Ok(true),
                count => self.extend(&piece[..count], usize::MAX)?,
            }
        }
        Ok(false)
    }

    /// Doubles the capacity, so that announced bytes that never arrive are not reserved. The old memory
    /// counts until its content has moved.
    fn grow(&mut self, needed: usize, expected: usize) -> Result<(), Full> {
        let (doubled, old) = (2 * self.bytes.capacity(), self.reservation.size());
        let capacity = needed.max(doubled.max(MIN_CAPACITY).min(expected));
        self.reservation.try_grow(capacity)?;
        let mut grown = BytesMut::with_capacity(capacity);
        grown.extend_from_slice(&self.bytes);
        self.bytes = grown;
        self.reservation.shrink(old);
        Ok(())
    }

    /// Returns the bytes, which hold their reservation.
    pub fn freeze(self) -> Bytes {
        self.reservation.hold(self.bytes.freeze())
    }
}
