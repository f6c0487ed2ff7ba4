//! Answers of a workflow that are kept for equal requests.
//!
//! Of equal requests at one time, one runs the handlers, and the others wait for its answer. If it fails, or its client
//! leaves, the next one runs them: nobody fails for another. Only answers are kept, for a time, and within a memory of
//! their own: what is kept never takes room from requests.

use crate::{
    memory::{Pool, Reservation},
    metrics::CacheMetrics,
};
use bytes::Bytes;
use hashlink::LinkedHashMap;
use krt_model::{message::Payload, outcome::Failure, version::Cache};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::OnceCell, time::Instant};

/// Identifies equal requests of one workflow: a digest without known collisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// Creates the key with this digest.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

/// The answers of one workflow.
#[derive(Debug)]
pub(super) struct AnswerCache {
    ttl: Duration,
    pool: Arc<Pool>,
    state: Mutex<State>,
    metrics: CacheMetrics,
}

#[derive(Debug, Default)]
struct State {
    /// The least recently used answer comes first.
    kept: LinkedHashMap<CacheKey, Kept>,
    flights: HashMap<CacheKey, Arc<OnceCell<Payload>>>,
    /// How often all answers were forgotten.
    generation: u64,
}

#[derive(Debug)]
struct Kept {
    answer: Payload,
    until: Instant,
}

/// What there is for a request.
#[derive(Debug)]
pub(super) enum Found {
    /// An answer.
    Answer(Payload),
    /// Equal requests in flight, or none yet.
    Flight(Flight),
}

/// A request's part in a flight: equal requests at one time.
#[derive(Debug)]
pub(super) struct Flight {
    cache: Arc<AnswerCache>,
    key: CacheKey,
    generation: u64,
    answer: Arc<OnceCell<Payload>>,
}

/// The answer of a flight.
#[derive(Debug)]
pub(super) enum FlightAnswer {
    /// To the request itself.
    Own(Payload),
    /// To an equal request.
    Shared(Payload),
}

impl AnswerCache {
    /// What an answer takes beside its bytes: its entry, and what shares and counts the bytes. Measured with 100,000
    /// answers: 236 bytes, and an allocator adds up to 16 to each of five allocations.
    const OVERHEAD: usize = 320;

    pub(super) fn new(cache: &Cache, metrics: CacheMetrics) -> Arc<Self> {
        let max = usize::try_from(cache.max.0).unwrap_or(usize::MAX);
        Arc::new(Self { ttl: cache.ttl, pool: Pool::new(max), state: Mutex::default(), metrics })
    }

    /// Finds the answer to a request, or the flight that it joins.
    pub(super) fn find(self: &Arc<Self>, key: CacheKey) -> Found {
        let mut state = self.lock();
        let old = match state.kept.to_back(&key) {
            Some(kept) if kept.until > Instant::now() => {
                self.metrics.hits.inc();
                return Found::Answer(kept.answer.clone());
            }
            Some(_) => state.kept.remove(&key),
            None => None,
        };
        let answer = Arc::clone(state.flights.entry(key).or_default());
        let generation = state.generation;
        drop(state);
        drop(old);
        Found::Flight(Flight { cache: Arc::clone(self), key, generation, answer })
    }

    /// Forgets all answers. Those of requests in flight are not kept, either.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        let next = State { generation: state.generation + 1, ..State::default() };
        let forgotten = std::mem::replace(&mut *state, next);
        drop(state);
        drop(forgotten);
    }

    /// Sets the gauges.
    pub(super) fn measure(&self) {
        self.metrics.set(self.lock().kept.len(), self.pool.used());
    }

    /// Keeps an answer, if there is room for it without those that were used before.
    fn keep(&self, key: CacheKey, generation: u64, answer: &Payload) {
        let Some(reservation) = self.reserve(answer.encoded().len() + Self::OVERHEAD) else { return };
        // The answer may be a part of a larger buffer, and counts as memory of requests.
        let answer = answer.clone().held(|bytes| reservation.hold(Bytes::copy_from_slice(&bytes)));
        let kept = Kept { answer, until: Instant::now() + self.ttl };
        let mut state = self.lock();
        if state.generation == generation {
            let old = state.kept.insert(key, kept);
            drop(state);
            drop(old);
        }
    }

    fn reserve(&self, size: usize) -> Option<Reservation> {
        let mut reservation = self.pool.reserve();
        if size > self.pool.limit() {
            return None;
        }
        while reservation.try_grow(size).is_err() {
            // Its memory is free when no client reads it any more.
            self.lock().kept.pop_front()?;
            self.metrics.evicted.inc();
        }
        Some(reservation)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Waits for the answer. `run` gets it from the handlers, unless an equal request does.
    pub(super) async fn answer<F>(&self, run: impl FnOnce() -> F) -> Result<FlightAnswer, Failure>
    where
        F: Future<Output = Result<Payload, Failure>>,
    {
        let (cache, mut own) = (&self.cache, false);
        let answer = self.answer.get_or_try_init(|| {
            own = true;
            cache.metrics.misses.inc();
            let answer = run();
            async {
                let answer = answer.await?;
                cache.keep(self.key, self.generation, &answer);
                Ok(answer)
            }
        });
        let answer = answer.await?.clone();
        if own {
            return Ok(FlightAnswer::Own(answer));
        }
        cache.metrics.shared.inc();
        Ok(FlightAnswer::Shared(answer))
    }
}

/// The last request of a flight ends it.
impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        let is_mine = state.flights.get(&self.key).is_some_and(|answer| Arc::ptr_eq(answer, &self.answer));
        // The list has one of them, this the other. Requests join under the lock.
        if is_mine && Arc::strong_count(&self.answer) == 2 {
            state.flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
