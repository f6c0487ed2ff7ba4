//! The subscriptions of one account, and the routing of messages.

use super::{operation::Message, outbox::Outbox, subject};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// The subscriptions behind one token. Other accounts do not see them.
#[derive(Debug, Default)]
pub(super) struct Interest {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Subscriptions to literal subjects, by subject.
    literal: HashMap<String, Vec<Subscription>>,
    patterns: Vec<(String, Subscription)>,
}

/// One subscription of one connection.
#[derive(Debug, Clone)]
struct Subscription {
    connection: u64,
    id: String,
    group: Option<String>,
    delivered: u64,
    /// It ends after this many messages.
    after: Option<u64>,
    outbox: Arc<Outbox>,
}

impl Subscription {
    fn is(&self, connection: u64, id: &str) -> bool {
        self.connection == connection && self.id == id
    }

    fn is_over(&self) -> bool {
        self.after.is_some_and(|after| self.delivered >= after)
    }
}

impl State {
    fn all(&mut self) -> impl Iterator<Item = &mut Subscription> {
        let patterns = self.patterns.iter_mut().map(|(_, subscription)| subscription);
        self.literal.values_mut().flatten().chain(patterns)
    }

    fn covering<'a>(&'a mut self, subject: &'a str) -> impl Iterator<Item = &'a mut Subscription> {
        let covers = |(pattern, _): &&mut (String, Subscription)| subject::matches(pattern, subject);
        let patterns = self.patterns.iter_mut().filter(covers).map(|(_, subscription)| subscription);
        self.literal.get_mut(subject).into_iter().flatten().chain(patterns)
    }

    fn retain(&mut self, keep: impl Fn(&Subscription) -> bool) {
        self.literal.retain(|_, of| {
            of.retain(&keep);
            !of.is_empty()
        });
        self.patterns.retain(|(_, subscription)| keep(subscription));
    }
}

impl Interest {
    /// Signals every change of the subjects with subscribers.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether a client subscribes to exactly this subject.
    pub(super) fn is_taken(&self, subject: &str) -> bool {
        self.lock().literal.contains_key(subject)
    }

    /// Adds a subscription of a connection. An id in use keeps its subscription, as in NATS.
    pub(super) fn subscribe(
        &self,
        connection: u64,
        subject: String,
        group: Option<String>,
        id: String,
        outbox: &Arc<Outbox>,
    ) {
        let mut state = self.lock();
        if state.all().any(|other| other.is(connection, &id)) {
            return;
        }
        let subscription =
            Subscription { connection, id, group, delivered: 0, after: None, outbox: Arc::clone(outbox) };
        if subject::is_literal(&subject) {
            state.literal.entry(subject).or_default().push(subscription);
        } else {
            state.patterns.push((subject, subscription));
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Ends a connection's subscription, at once or after this many messages.
    pub(super) fn unsubscribe(&self, connection: u64, id: &str, after: Option<u64>) {
        let mut state = self.lock();
        for subscription in state.all().filter(|other| other.is(connection, id)) {
            subscription.after = after.or(Some(0));
        }
        state.retain(|other| !other.is_over());
        drop(state);
        self.changed.send_replace(());
    }

    /// Removes a connection.
    pub(super) fn remove(&self, connection: u64) {
        self.lock().retain(|other| other.connection != connection);
        self.changed.send_replace(());
    }

    /// Delivers a message to all subscribers of its subject, and to one of each group. Returns whether there
    /// was one. `except` is a connection that does not want its own messages.
    pub(super) fn publish(&self, message: &Message, except: Option<u64>) -> bool {
        let mut state = self.lock();
        let mut groups: HashMap<String, Vec<(u64, String)>> = HashMap::new();
        let (mut taken, mut over) = (false, false);
        let others = |other: &&mut Subscription| Some(other.connection) != except;
        for subscription in state.covering(&message.subject).filter(others) {
            match &subscription.group {
                Some(group) => {
                    let member = (subscription.connection, subscription.id.clone());
                    groups.entry(group.clone()).or_default().push(member);
                }
                None => {
                    taken = true;
                    over |= deliver(subscription, message);
                }
            }
        }
        for members in groups.values() {
            let (connection, id) = &members[fastrand::usize(..members.len())];
            let mut chosen = state.covering(&message.subject).filter(|other| other.is(*connection, id));
            if let Some(subscription) = chosen.next() {
                taken = true;
                over |= deliver(subscription, message);
            }
        }
        if over {
            state.retain(|other| !other.is_over());
            drop(state);
            self.changed.send_replace(());
        }
        taken
    }

    /// Replies to a connection that a message had no responders.
    pub(super) fn no_responders(&self, connection: u64, reply: &str) {
        let bytes = bytes::Bytes::from_static(NO_RESPONDERS);
        let message = Message { subject: reply.to_owned(), reply: None, headers: NO_RESPONDERS.len(), bytes };
        // It does not count towards the subscription's message limit, as in NATS.
        for subscription in self.lock().covering(reply).filter(|other| other.connection == connection) {
            subscription.outbox.message(&subscription.id, &message);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reply to a message without responders.
const NO_RESPONDERS: &[u8] = b"NATS/1.0 503\r\n\r\n";

/// Returns whether this was the subscription's last message.
fn deliver(subscription: &mut Subscription, message: &Message) -> bool {
    subscription.delivered += 1;
    subscription.outbox.message(&subscription.id, message);
    subscription.is_over()
}
