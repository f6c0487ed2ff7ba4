//! The bounded buffer between callers that measure or log and the thread that writes.
//!
//! Callers append bytes to one of a few shards, each behind a mutex that is held for a copy of some hundred
//! bytes; the writer swaps whole shards out. Callers never wait for the writer: an item that finds its shard
//! full is dropped and counted.

use std::{
    cell::Cell,
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// A bounded buffer of encoded items.
#[derive(Debug)]
pub(crate) struct Intake {
    shards: Box<[Mutex<Shard>]>,
    /// The most bytes of a shard; beyond that, items are dropped.
    limit: usize,
    /// The bytes after which a shard asks to be drained early.
    eager: usize,
    /// Whether the writer knows of waiting items.
    known: AtomicBool,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    bytes: Vec<u8>,
    count: u64,
}

/// The result of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PushOutcome {
    /// The item waits, and the writer knows.
    Waits,
    /// The item waits; the caller must notify the writer.
    First,
    /// The item waits; the writer should drain soon.
    Urgent,
    /// The buffer is full.
    Dropped,
}

impl Intake {
    /// A buffer of `size` bytes in total.
    pub(crate) fn new(shards: usize, size: usize) -> Self {
        let limit = size / shards;
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            limit,
            eager: (limit / 4).min(256 << 10),
            known: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        }
    }

    /// Lets `encode` append one item.
    pub(crate) fn push(&self, encode: impl FnOnce(&mut Vec<u8>)) -> PushOutcome {
        let mut shard = self.free_shard();
        let before = shard.bytes.len();
        if before >= self.limit {
            drop(shard);
            self.drop_counted(1);
            return PushOutcome::Dropped;
        }
        encode(&mut shard.bytes);
        shard.count += 1;
        let after = shard.bytes.len();
        drop(shard);
        self.state(before, after)
    }

    fn state(&self, before: usize, after: usize) -> PushOutcome {
        if before < self.eager && after >= self.eager {
            self.known.store(true, Ordering::Relaxed);
            return PushOutcome::Urgent;
        }
        // Reads first: a write by every caller would make the cores contend for the cache line.
        if self.known.load(Ordering::Relaxed) || self.known.swap(true, Ordering::Relaxed) {
            return PushOutcome::Waits;
        }
        PushOutcome::First
    }

    /// A free shard if there is one: the holder of a shard may have lost its core.
    fn free_shard(&self) -> MutexGuard<'_, Shard> {
        let own = own_shard();
        for offset in 0..self.shards.len() {
            match self.shards[(own + offset) % self.shards.len()].try_lock() {
                Ok(shard) => return shard,
                Err(TryLockError::Poisoned(shard)) => return shard.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        lock(&self.shards[own % self.shards.len()])
    }

    /// Drains the buffer: calls `each` with the bytes of a shard and its number of items.
    pub(crate) fn drain(&self, spare: &mut Vec<u8>, mut each: impl FnMut(&[u8], u64)) {
        // Before the shards are locked: a caller that pushes after its shard was drained sees this.
        self.known.store(false, Ordering::Relaxed);
        for shard in &self.shards {
            spare.clear();
            let count = {
                let mut shard = lock(shard);
                mem::swap(&mut shard.bytes, spare);
                mem::take(&mut shard.count)
            };
            if count > 0 {
                each(spare, count);
            }
            // Frees the memory of a burst.
            spare.shrink_to(2 * self.eager);
        }
    }

    /// Counts items as dropped.
    pub(crate) fn drop_counted(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// How many items were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Ignores poisoning: a shard is consistent between calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number per thread, so that threads spread over the shards.
fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    OWN.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_full_buffer_drops_and_counts() {
        let intake = Intake::new(1, 8);
        let pushed: Vec<_> = (0..4).map(|_| intake.push(|out| out.extend([1; 4]))).collect();
        assert_eq!(
            pushed,
            [PushOutcome::Urgent, PushOutcome::Waits, PushOutcome::Dropped, PushOutcome::Dropped]
        );
        assert_eq!(intake.dropped(), 2);
        let mut seen = 0;
        intake.drain(&mut Vec::new(), |bytes, count| {
            assert_eq!(bytes.len(), 8);
            seen += count;
        });
        assert_eq!(seen, 2);
        assert_eq!(intake.push(|out| out.push(1)), PushOutcome::First);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let intake = Intake::new(4, 1 << 20);
        let (mut bytes, mut things) = (0, 0);
        let mut take = |data: &[u8], count: u64| {
            bytes += data.len();
            things += count;
        };
        thread::scope(|scope| {
            let pushers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).for_each(|_| _ = intake.push(|out| out.extend([7; 3])))))
                .collect();
            while pushers.iter().any(|pusher| !pusher.is_finished()) {
                intake.drain(&mut Vec::new(), &mut take);
            }
        });
        intake.drain(&mut Vec::new(), &mut take);
        assert_eq!((bytes, things, intake.dropped()), (12_000, 4000, 0));
    }
}
