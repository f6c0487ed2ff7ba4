//! Who may come in: the bound on requests and bytes in work.

use krt_model::outcome::Failure;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::{Notify, watch};

/// How much may be in work at a time, early-replied requests included.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests.
    pub requests: usize,
    /// Bytes of their messages as they came in.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 1024, bytes: 256 << 20 }
    }
}

/// Counts what is in work, and closes the door when it is full or when the service is not open.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    open: watch::Sender<bool>,
    stopping: AtomicBool,
    empty: Notify,
}

impl Admission {
    /// Closed, until it is opened.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            open: watch::Sender::new(false),
            stopping: AtomicBool::new(false),
            empty: Notify::new(),
        }
    }

    /// Lets requests in from now on.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Lets no request in any more.
    pub fn close(&self) {
        self.stopping.store(true, Ordering::Release);
        self.open.send_replace(false);
    }

    /// Tells whether requests are let in.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    /// How many requests are in work.
    pub fn in_work(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// Waits until nothing is in work.
    pub async fn drained(&self) {
        loop {
            let empty = self.empty.notified();
            if self.in_work() == 0 {
                return;
            }
            empty.await;
        }
    }

    /// Lets a request with a message of that many bytes in, or says why not.
    pub fn enter(self: &Arc<Self>, bytes: usize) -> Result<Permit, Failure> {
        let permit = Permit { admission: Arc::clone(self), bytes };
        let requests = self.requests.fetch_add(1, Ordering::AcqRel) + 1;
        let in_work = self.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes;
        if !*self.open.borrow() {
            let stopping = self.stopping.load(Ordering::Acquire);
            return Err(Failure::NotServing { state: if stopping { "stopping" } else { "starting" } });
        }
        if requests > self.limits.requests {
            return Err(Failure::QueueFull { limit: self.limits.requests, unit: "requests" });
        }
        if in_work > self.limits.bytes && requests > 1 {
            return Err(Failure::QueueFull { limit: self.limits.bytes, unit: "bytes" });
        }
        Ok(permit)
    }
}

/// The right to be in work; dropped, its room is free again.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Permit {
    /// Bytes of the message as it came in.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        if self.admission.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.admission.empty.notify_waiters();
        }
    }
}
