//! What the server is told of a message that was taken from it.

use crate::{
    dead,
    sender::{Mark, Sender},
    subject::Station,
};
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// The pause before a message that was given back is given out again, for each time it was given out.
const PAUSE: Duration = Duration::from_millis(200);

/// A message of JetStream that is in work here. Dropped unmarked, it is given back.
pub struct Receipt(Option<Box<Inner>>);

struct Inner {
    message: Taken,
    held: Arc<Held>,
    key: u64,
}

/// A message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// Where the server hears of it.
    pub(crate) marks: Subject,
    pub(crate) subject: Subject,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
    /// How many times it was given out, this time included.
    pub(crate) tries: u64,
}

/// All messages of one intake that are in work here.
#[derive(Debug)]
pub(crate) struct Held {
    sender: Sender,
    station: Arc<Station>,
    /// How many times a message is given out at the most.
    most_tries: u64,
    /// One has left.
    pub(crate) left: Notify,
    messages: Mutex<Messages>,
}

#[derive(Debug, Default)]
struct Messages {
    last: u64,
    marks: HashMap<u64, Subject>,
}

impl Held {
    pub(crate) fn new(sender: Sender, station: Arc<Station>, most_tries: u64) -> Self {
        Self { sender, station, most_tries, left: Notify::new(), messages: Mutex::default() }
    }

    /// A message is in work from now on.
    pub(crate) fn take(self: &Arc<Self>, message: Taken) -> Receipt {
        let mut messages = self.lock();
        messages.last += 1;
        let key = messages.last;
        messages.marks.insert(key, message.marks.clone());
        drop(messages);
        Receipt(Some(Box::new(Inner { message, held: Arc::clone(self), key })))
    }

    /// How many are in work.
    pub(crate) fn len(&self) -> usize {
        self.lock().marks.len()
    }

    /// Tells the server that all of them are still in work.
    pub(crate) fn tell_progress(&self) {
        for subject in self.lock().marks.values() {
            self.sender.mark(subject.clone(), Mark::InProgress);
        }
    }

    fn forget(&self, key: u64) {
        self.lock().marks.remove(&key);
        self.left.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receipt {
    /// How many more times the message would be given out.
    pub fn redeliveries_left(&self) -> u16 {
        let left =
            self.0.as_ref().map_or(0, |inner| inner.held.most_tries.saturating_sub(inner.message.tries));
        u16::try_from(left).unwrap_or(u16::MAX)
    }

    /// How many times the message was given out, this time included.
    pub fn tries(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.message.tries)
    }

    /// Whether it was given out more often than it may be.
    pub fn is_exhausted(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.message.tries > inner.held.most_tries)
    }

    /// The work is done: the message is never given out again.
    pub fn done(mut self) {
        if let Some(inner) = self.0.take() {
            inner.mark(Mark::Done);
        }
    }

    /// The work is given up: the message is kept apart, with the reason, and then done with.
    pub fn dead(self, reason: &str) {
        let Some(inner) = &self.0 else { return };
        let Held { sender, station, .. } = &*inner.held;
        let (subject, headers) = dead::address(station, &inner.message, reason);
        let (sender, body) = (sender.clone(), inner.message.body.clone());
        sender.store_raw(subject, headers, body, self);
    }

    /// Gives the message back for whoever takes it next, without a pause.
    pub fn release(mut self) {
        if let Some(inner) = self.0.take() {
            inner.mark(Mark::Back(Duration::ZERO));
        }
    }
}

impl Inner {
    fn mark(&self, mark: Mark) {
        self.held.forget(self.key);
        self.held.sender.mark(self.message.marks.clone(), mark);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(inner) = self.0.take() {
            let tries = u32::try_from(inner.message.tries).unwrap_or(u32::MAX);
            inner.mark(Mark::Back(PAUSE.saturating_mul(tries)));
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt(given out {} times)", self.tries())
    }
}
