//! Admission of requests: bounds on the requests in flight and on the bytes they hold.

use crate::memory::{Full, Pool, Reservation};
use krt_model::outcome::Failure;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::{Notify, watch};

/// Limits on the requests in flight, including those that have had an early reply.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests.
    pub requests: usize,
    /// Bytes they hold: messages as received, decompressed and converted, and answers.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 1024, bytes: 256 << 20 }
    }
}

/// Counts the requests in flight, and refuses more when full or when the service is not open.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    requests: AtomicUsize,
    memory: Arc<Pool>,
    open: watch::Sender<bool>,
    stopping: AtomicBool,
    empty: Notify,
}

impl Admission {
    /// Creates an admission that is closed until [`Admission::open`].
    pub fn new(limits: Limits) -> Self {
        Self::sharing(limits, Pool::new(limits.bytes))
    }

    /// Like [`Admission::new`], with a bound on bytes shared with another admission.
    pub fn sharing(limits: Limits, memory: Arc<Pool>) -> Self {
        Self {
            limits,
            requests: AtomicUsize::new(0),
            memory,
            open: watch::Sender::new(false),
            stopping: AtomicBool::new(false),
            empty: Notify::new(),
        }
    }

    /// Admits requests from now on.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Refuses every request from now on.
    pub fn close(&self) {
        self.stopping.store(true, Ordering::Release);
        self.open.send_replace(false);
    }

    /// Returns a receiver of whether requests are admitted.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    /// Returns the number of requests in flight.
    pub fn in_flight(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// Waits until no request is in flight.
    pub async fn drained(&self) {
        loop {
            let empty = self.empty.notified();
            if self.in_flight() == 0 {
                return;
            }
            empty.await;
        }
    }

    /// The memory pool of the requests.
    pub fn memory(&self) -> &Arc<Pool> {
        &self.memory
    }

    /// Admits a request that announces `bytes` bytes, or returns the reason for its refusal.
    ///
    /// Reserves nothing for announced bytes: their holder reserves them when they arrive.
    pub fn enter(self: &Arc<Self>, bytes: usize) -> Result<Permit, Failure> {
        let permit = Permit { admission: Arc::clone(self), bytes, beside: self.memory.reserve() };
        let requests = self.requests.fetch_add(1, Ordering::AcqRel) + 1;
        if !*self.open.borrow() {
            let stopping = self.stopping.load(Ordering::Acquire);
            return Err(Failure::NotServing { state: if stopping { "stopping" } else { "starting" } });
        }
        if requests > self.limits.requests {
            return Err(Failure::QueueFull { limit: self.limits.requests, unit: "requests" });
        }
        self.memory.check(bytes).map_err(no_memory)?;
        Ok(permit)
    }
}

/// Converts a full pool into the failure for the client.
pub fn no_memory(full: Full) -> Failure {
    Failure::NoMemory { limit: full.limit }
}

/// The right to be in flight; dropping it frees the place.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    bytes: usize,
    /// Bytes that the request holds besides its messages.
    beside: Reservation,
}

impl Permit {
    /// Returns an empty reservation of memory for the request.
    pub fn reserve(&self) -> Reservation {
        self.admission.memory.reserve()
    }

    /// Counts bytes that the request holds besides its messages, until its place is free.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Failure> {
        self.beside.try_grow(bytes).map_err(no_memory)
    }

    /// Records the size of the message as received.
    pub fn record_size(&mut self, bytes: usize) {
        self.bytes = bytes;
    }

    /// Returns the size of the message as received, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.admission.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.admission.empty.notify_waiters();
        }
    }
}
