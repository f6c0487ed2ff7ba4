//! The output of a conversion and its working memory, within its limit and its reservation.

use super::fault::{Fault, Result};
use crate::memory::{Full, Refused, Reservation};
use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};
use std::{borrow::Cow, collections::HashMap, hash::Hash, io};

/// Maximum bytes of a key, a number or a length.
const SMALL: usize = 16;

/// The output bytes, and a count of all memory held.
#[derive(Debug)]
pub(crate) struct Out {
    bytes: Vec<u8>,
    limit: usize,
    pub(crate) held: CountedMemory,
}

/// Memory besides the output.
#[derive(Debug)]
pub(crate) struct CountedMemory(Reservation);

impl CountedMemory {
    /// Counts bytes that are about to be allocated.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.0.try_grow(bytes).map_err(refused)
    }

    /// Uncounts bytes that are freed.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.0.shrink(bytes);
    }
}

fn refused(full: Full) -> Fault {
    Fault::Refused(full.into())
}

impl Out {
    pub(crate) fn new(reservation: Reservation, limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, held: CountedMemory(reservation) }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns what was written since a length.
    pub(crate) fn since(&self, length: usize) -> &[u8] {
        &self.bytes[length..]
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// Returns the output, which holds its part of the reservation; the working memory is freed.
    pub(crate) fn finish(mut self) -> Bytes {
        let beside = self.held.0.size().saturating_sub(self.bytes.capacity());
        self.held.0.shrink(beside);
        self.held.0.hold(self.bytes.into())
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.room(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn push(&mut self, byte: u8) -> Result<(), Fault> {
        self.room(1)?;
        self.bytes.push(byte);
        Ok(())
    }

    /// Writes the key of a field.
    pub(crate) fn key(&mut self, number: u32, wire: WireType) -> Result<(), Fault> {
        self.room(SMALL)?;
        encode_key(number, wire, &mut self.bytes);
        Ok(())
    }

    pub(crate) fn varint(&mut self, value: u64) -> Result<(), Fault> {
        self.room(SMALL)?;
        encode_varint(value, &mut self.bytes);
        Ok(())
    }

    /// Writes bytes after their length.
    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.varint(bytes.len() as u64)?;
        self.put(bytes)
    }

    /// Writes the output of `content` after its length. One byte is reserved for the length, which is usually
    /// enough.
    pub(crate) fn with_length<E: From<Fault>>(
        &mut self,
        content: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.len();
        self.push(0)?;
        content(self)?;
        let length = self.len() - start - 1;
        if length < 0x80 {
            self.bytes[start] = length as u8;
        } else {
            self.room(SMALL)?;
            let mut varint = Vec::with_capacity(SMALL);
            encode_varint(length as u64, &mut varint);
            self.bytes.splice(start..=start, varint);
        }
        Ok(())
    }

    /// Makes room for more bytes.
    fn room(&mut self, more: usize) -> Result<(), Fault> {
        if self.bytes.capacity() - self.bytes.len() >= more { Ok(()) } else { self.grow(more) }
    }

    /// Doubles the capacity; the old memory counts until its content has moved.
    #[cold]
    fn grow(&mut self, more: usize) -> Result<(), Fault> {
        let (needed, old) = (self.bytes.len() + more, self.bytes.capacity());
        let most = self.limit.saturating_add(SMALL);
        if needed > most {
            return Err(Fault::Refused(Refused::TooLarge { limit: self.limit }));
        }
        let capacity = (2 * old).max(128).min(most).max(needed);
        self.held.take(capacity)?;
        self.bytes.reserve_exact(capacity - self.bytes.len());
        self.held.release(old);
        Ok(())
    }

    /// Fails if the output exceeds its limit: room for a key or a length is made before its actual size is
    /// known.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.len() <= self.limit {
            return Ok(());
        }
        Err(Fault::Refused(Refused::TooLarge { limit: self.limit }))
    }
}

/// For serde_json's strings and numbers. [`unwritten`] recovers the error.
impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the fault behind a write error.
pub(crate) fn unwritten(error: io::Error) -> Fault {
    error.downcast().unwrap_or(Fault::Malformed)
}

/// Returns the memory of an allocation of so many bytes.
pub(crate) fn elsewhere(bytes: usize) -> usize {
    /// The allocator's overhead and rounding.
    const ALLOCATION_OVERHEAD: usize = 32;
    bytes + ALLOCATION_OVERHEAD
}

/// Returns the memory of a text outside of the one it was read from.
#[expect(clippy::ptr_arg, reason = "whether it is a copy is the question")]
pub(crate) fn unescaped(text: &Cow<'_, str>) -> usize {
    match text {
        Cow::Borrowed(_) => 0,
        Cow::Owned(text) => elsewhere(text.capacity()),
    }
}

/// A list kept during a conversion.
#[derive(Debug)]
pub(crate) struct CountedList<T>(Vec<T>);

impl<T> CountedList<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, held: &mut CountedMemory, item: T) -> Result<(), Fault> {
        self.room(held, 1)?;
        self.0.push(item);
        Ok(())
    }

    pub(crate) fn extend(&mut self, held: &mut CountedMemory, items: &[T]) -> Result<(), Fault>
    where
        T: Clone,
    {
        self.room(held, items.len())?;
        self.0.extend_from_slice(items);
        Ok(())
    }

    fn room(&mut self, held: &mut CountedMemory, more: usize) -> Result<(), Fault> {
        let (needed, old) = (self.0.len() + more, self.0.capacity());
        if needed > old {
            let capacity = (2 * old).max(4).max(needed);
            held.take(capacity * size_of::<T>())?;
            self.0.reserve_exact(capacity - self.0.len());
            held.release(old * size_of::<T>());
        }
        Ok(())
    }

    pub(crate) fn items(&mut self) -> &mut Vec<T> {
        &mut self.0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<T>()
    }

    pub(crate) fn end(self, held: &mut CountedMemory) {
        held.release(self.bytes());
    }
}

/// A table kept during a conversion.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    entries: HashMap<K, V>,
    bytes: usize,
}

impl<K: Hash + Eq, V> Table<K, V> {
    pub(crate) fn new() -> Self {
        Self { entries: HashMap::new(), bytes: 0 }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// Inserts an entry whose key has so many bytes elsewhere. Returns the previous value of the key.
    pub(crate) fn insert(
        &mut self,
        held: &mut CountedMemory,
        key: K,
        value: V,
        elsewhere: usize,
    ) -> Result<Option<V>, Fault> {
        if self.entries.len() == self.entries.capacity() {
            self.grow(held)?;
        }
        held.take(elsewhere)?;
        self.bytes += elsewhere;
        Ok(self.entries.insert(key, value))
    }

    fn grow(&mut self, held: &mut CountedMemory) -> Result<(), Fault> {
        let old = Self::size(self.entries.capacity());
        let capacity = (2 * self.entries.capacity()).max(3);
        let new = Self::size(capacity);
        held.take(new)?;
        self.entries.reserve(capacity - self.entries.len());
        held.release(old);
        self.bytes += new - old;
        Ok(())
    }

    /// Returns the memory of a standard library table of that capacity: seven of eight places are usable, and
    /// each has an extra byte.
    fn size(capacity: usize) -> usize {
        /// Bytes after the last place.
        const GROUP: usize = 16;
        if capacity == 0 {
            return 0;
        }
        let places = (capacity * 8).div_ceil(7).next_power_of_two().max(4);
        places * (size_of::<(K, V)>() + 1) + GROUP
    }

    pub(crate) fn end(self, held: &mut CountedMemory) {
        held.release(self.bytes);
    }
}

/// Appends a part of a message sent in parts. Its memory counts until the whole output is written.
pub(crate) fn append<'m>(
    message: &mut Cow<'m, [u8]>,
    more: &[u8],
    held: &mut CountedMemory,
) -> Result<(), Fault> {
    let length = message.len() + more.len();
    let whole = match message {
        Cow::Borrowed(start) => {
            held.take(length)?;
            let mut whole = Vec::with_capacity(length);
            whole.extend_from_slice(start);
            whole
        }
        Cow::Owned(whole) => {
            let (old, mut whole) = (whole.capacity(), std::mem::take(whole));
            if length > old {
                let capacity = length.max(2 * old);
                held.take(capacity)?;
                whole.reserve_exact(capacity - whole.len());
                held.release(old);
            }
            whole
        }
    };
    *message = Cow::Owned(whole);
    message.to_mut().extend_from_slice(more);
    Ok(())
}
