//! Acknowledgement of messages taken from the server.

use crate::{
    dead,
    message::RawMessage,
    sender::{AckKind, Sender},
    subject::Stage,
};
use async_nats::Subject;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// The pause before a message that was given back is redelivered, multiplied by its number of deliveries.
const REDELIVERY_DELAY: Duration = Duration::from_millis(200);

/// Acknowledges a JetStream message that is in flight here. Dropped unmarked, it gives the message back.
pub struct Acker {
    message: RawMessage,
    held: Arc<PendingAcks>,
    key: u64,
    marked: bool,
}

/// The messages of one intake that are in flight here.
#[derive(Debug)]
pub(crate) struct PendingAcks {
    sender: Sender,
    stage: Arc<Stage>,
    /// The maximum number of deliveries.
    most_tries: u64,
    /// Notified when a message is no longer in flight.
    pub(crate) left: Notify,
    messages: Mutex<Messages>,
}

#[derive(Debug, Default)]
struct Messages {
    last: u64,
    ack_subject: HashMap<u64, Subject>,
}

impl PendingAcks {
    pub(crate) fn new(sender: Sender, stage: Arc<Stage>, most_tries: u64) -> Self {
        Self { sender, stage, most_tries, left: Notify::new(), messages: Mutex::default() }
    }

    /// Adds a message to those in flight.
    pub(crate) fn take(self: &Arc<Self>, message: RawMessage) -> Box<Acker> {
        let mut messages = self.lock();
        messages.last += 1;
        let key = messages.last;
        messages.ack_subject.insert(key, message.ack_subject.clone());
        drop(messages);
        Box::new(Acker { message, held: Arc::clone(self), key, marked: false })
    }

    /// Returns the number of messages in flight.
    pub(crate) fn len(&self) -> usize {
        self.lock().ack_subject.len()
    }

    /// Reports all of them to the server as still in progress.
    pub(crate) fn report_progress(&self) {
        for subject in self.lock().ack_subject.values() {
            self.sender.mark(subject.clone(), AckKind::Progress);
        }
    }

    fn forget(&self, key: u64) {
        self.lock().ack_subject.remove(&key);
        self.left.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acker {
    /// Returns how many more times the message would be redelivered.
    pub fn redeliveries_left(&self) -> u16 {
        u16::try_from(self.held.most_tries.saturating_sub(self.message.tries)).unwrap_or(u16::MAX)
    }

    /// Returns the number of deliveries, including this one.
    pub fn tries(&self) -> u64 {
        self.message.tries
    }

    /// Returns whether the message has been delivered more often than allowed.
    pub fn is_exhausted(&self) -> bool {
        self.message.tries > self.held.most_tries
    }

    /// Acknowledges the message, which is never redelivered.
    pub fn ack(mut self) {
        self.mark(AckKind::Ack);
    }

    /// Moves the message to the dead letters, with the reason, and then acknowledges it.
    pub fn dead_letter(self: Box<Self>, reason: &str) {
        let PendingAcks { sender, stage, .. } = &*self.held;
        let (subject, headers) = dead::address(stage, &self.message, reason);
        let (sender, body) = (sender.clone(), self.message.body.clone());
        sender.store_raw(subject, headers, body, self);
    }

    /// Gives the message back for another receiver, without a pause.
    pub fn nak(mut self) {
        self.mark(AckKind::Nak(Duration::ZERO));
    }

    fn mark(&mut self, mark: AckKind) {
        self.marked = true;
        self.held.forget(self.key);
        self.held.sender.mark(self.message.ack_subject.clone(), mark);
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        if !self.marked {
            let tries = u32::try_from(self.message.tries).unwrap_or(u32::MAX);
            self.mark(AckKind::Nak(REDELIVERY_DELAY.saturating_mul(tries)));
        }
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acker(delivered {} times)", self.tries())
    }
}
