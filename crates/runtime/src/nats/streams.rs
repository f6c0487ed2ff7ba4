//! Answers that are streams, on their way from the engine of a handler to the ingress.
//!
//! - Each message has its number. The ingress puts messages of several engines in order, and sees what is missing.
//! - Each message names an inbox for credit. There the ingress reports how many of the messages its client has taken, so
//!   that a client that reads slowly holds the handler back ([`Outgoing`] keeps each [`Credit`] until then).
//! - The end has the number after the last message.
//!
//! A message is sent once, and not stored: what is lost ends the stream.

use super::Nats;
use crate::flow::{self, Credit};
use krt_broker::{Error, Listener};
use krt_model::{
    message::Payload,
    name::Name,
    outcome::{Failure, Kind},
    request::HopChain,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long a message may arrive after one with a larger number, from another engine.
const MAX_DELAY: Duration = Duration::from_secs(2);
/// The most messages that wait for one before them: more than a window of two engines.
const MAX_EARLY: u64 = 128;
/// How much the client takes, of a message that others wait behind, before the ingress reports it.
const REPORT_MESSAGES: u32 = 8;
const REPORT_BYTES: usize = 64 << 10;

/// The streams that leave this engine, by the last word of their inboxes for credit.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    last: u64,
    streams: HashMap<u64, Weak<Outgoing>>,
}

impl Streams {
    /// Opens the stream of a request at a node, after so many messages of other nodes.
    pub(super) fn open(self: &Arc<Self>, request: Arc<str>, node: Name, sent: u64) -> Arc<Outgoing> {
        let mut open = self.lock();
        open.last += 1;
        let state = Mutex::new(Sent { next: sent, ..Sent::default() });
        let all = Arc::downgrade(self);
        let outgoing = Arc::new(Outgoing { key: open.last, request, node, all, state });
        open.streams.insert(outgoing.key, Arc::downgrade(&outgoing));
        outgoing
    }

    fn find(&self, key: u64) -> Option<Arc<Outgoing>> {
        self.lock().streams.get(&key)?.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream of one request, as far as this engine sends it.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The last word of its inbox for credit.
    pub(super) key: u64,
    /// The request's id.
    pub(super) request: Arc<str>,
    /// The node whose messages these are.
    pub(super) node: Name,
    all: Weak<Streams>,
    state: Mutex<Sent>,
}

#[derive(Debug, Default)]
struct Sent {
    /// The number of the next message.
    next: u64,
    /// Of messages that the client has not taken.
    credits: VecDeque<Credit>,
    /// How many credits have been returned.
    returned: u64,
    ended: bool,
}

impl Outgoing {
    /// Returns how many messages of the answer have been sent, by all engines.
    pub(super) fn sent(&self) -> u64 {
        self.lock().next
    }

    /// Calls `send` with the number of the next message, unless the stream has ended. Keeps the message's credit. After a
    /// failure, the number is still free.
    pub(super) fn send_next(
        &self,
        credit: Option<Credit>,
        send: impl FnOnce(u64) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut state = self.lock();
        if !state.ended {
            send(state.next)?;
            state.next += 1;
            state.credits.extend(credit);
        }
        Ok(())
    }

    /// Ends the stream, and returns all credits. Returns the number after the last message; `None` if it has ended.
    pub(super) fn end(&self) -> Option<u64> {
        let mut state = self.lock();
        if std::mem::replace(&mut state.ended, true) {
            return None;
        }
        let (number, credits) = (state.next, std::mem::take(&mut state.credits));
        drop(state);
        drop(credits);
        Some(number)
    }

    /// Returns the credits of the first `taken` messages of this engine.
    fn taken(&self, taken: u64) {
        let mut state = self.lock();
        let count = usize::try_from(taken.saturating_sub(state.returned)).unwrap_or(usize::MAX);
        let count = count.min(state.credits.len());
        state.returned += count as u64;
        let credits: Vec<_> = state.credits.drain(..count).collect();
        drop(state);
        drop(credits);
    }

    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if let Some(all) = self.all.upgrade() {
            all.lock().streams.remove(&self.key);
        }
    }
}

/// Listens for the reports of ingresses, until the task is aborted.
pub(super) async fn listen(nats: &Arc<Nats>, tasks: &mut JoinSet<()>) -> Result<(), Error> {
    let prefix = nats.replies.credit_inbox("");
    let mut listener = Listener::open(&nats.connection, format!("{prefix}*")).await?;
    let nats = Arc::clone(nats);
    tasks.spawn(async move {
        while let Some(received) = listener.next().await {
            let key = received.subject.strip_prefix(&prefix).and_then(|key| key.parse().ok());
            let Some(outgoing) = key.and_then(|key| nats.streams.find(key)) else { continue };
            if let Some(taken) = std::str::from_utf8(&received.body).ok().and_then(|it| it.parse().ok()) {
                outgoing.taken(taken);
            }
        }
    });
    Ok(())
}

/// A part of a stream, at the ingress.
#[derive(Debug)]
pub(super) enum Part {
    /// A message, and the inbox for its credit.
    Message { payload: Payload, credit: Option<String> },
    /// The end, with the calls of handlers.
    End { status: Result<(), Failure>, hops: HopChain },
}

/// The stream of a request of this ingress.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<Arrived>);

#[derive(Debug, Default)]
struct Arrived {
    order: Order<Part>,
    /// Reports to the engine of the latest message.
    taken: Option<Arc<Taken>>,
    /// When the latest message came.
    at: Option<Instant>,
}

impl Arrivals {
    /// Takes a part. Returns those that are next, in order.
    pub(super) fn take(&self, number: u64, part: Part, now: Instant) -> Result<Vec<Part>, Failure> {
        let mut state = self.lock();
        state.at = Some(now);
        state.order.take(number, part, now)
    }

    /// Returns the credit of a message of so many bytes.
    pub(super) fn credit(&self, nats: &Arc<Nats>, inbox: String, bytes: usize) -> Credit {
        let mut state = self.lock();
        let taken = match &state.taken {
            Some(taken) if taken.inbox == inbox => Arc::clone(taken),
            _ => Arc::clone(state.taken.insert(Arc::new(Taken {
                nats: Arc::downgrade(nats),
                inbox,
                counts: Mutex::default(),
            }))),
        };
        drop(state);
        taken.lock().arrived += 1;
        Credit::new(taken, bytes)
    }

    /// Returns why the stream cannot go on, if so. `is_up`: whether an engine, by its inboxes for credit, sends
    /// heartbeats; one that sends none for `silence` has ended.
    pub(super) fn broken(
        &self,
        now: Instant,
        silence: Duration,
        is_up: impl FnOnce(&str) -> bool,
    ) -> Option<Failure> {
        let state = self.lock();
        let waited = |since: Instant| now.saturating_duration_since(since);
        if let Some(missing) = state.order.missing(|since| waited(since) >= MAX_DELAY) {
            return Some(lost(&missing));
        }
        let silent = state.at.is_some_and(|at| waited(at) >= silence);
        let ended = state.taken.as_ref().is_some_and(|taken| silent && !is_up(&taken.inbox));
        ended.then(|| interrupted("the engine that sent the answer has ended".to_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(missing: &Range<u64>) -> Failure {
    let what = match missing.end - missing.start {
        1 => format!("message {} of the answer was", missing.end),
        _ => format!("messages {} to {} of the answer were", missing.start + 1, missing.end),
    };
    interrupted(format!("{what} lost over NATS"))
}

fn interrupted(message: String) -> Failure {
    Failure::Remote { kind: Kind::Interrupted, message }
}

/// Puts numbered things in order.
#[derive(Debug)]
struct Order<T> {
    next: u64,
    /// Those that wait for one before them.
    early: BTreeMap<u64, T>,
    /// How long the first of them has waited.
    since: Option<Instant>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { next: 0, early: BTreeMap::new(), since: None }
    }
}

impl<T> Order<T> {
    /// Takes one. Returns those that are next.
    fn take(&mut self, number: u64, one: T, now: Instant) -> Result<Vec<T>, Failure> {
        if number < self.next || self.early.contains_key(&number) {
            let again = format!("message {} of the answer was sent by two handlers", number + 1);
            return Err(interrupted(again));
        }
        if number - self.next > MAX_EARLY {
            return Err(lost(&(self.next..number)));
        }
        self.early.insert(number, one);
        let mut ready = Vec::new();
        while let Some(one) = self.early.remove(&self.next) {
            ready.push(one);
            self.next += 1;
        }
        if self.early.is_empty() {
            self.since = None;
        } else if self.since.is_none() || !ready.is_empty() {
            self.since = Some(now);
        }
        Ok(ready)
    }

    /// Returns the numbers that are missing, if later ones wait for too long.
    fn missing(&self, too_long: impl FnOnce(Instant) -> bool) -> Option<Range<u64>> {
        let (&first, _) = self.early.first_key_value()?;
        self.since.is_some_and(too_long).then_some(self.next..first)
    }
}

/// Reports to an engine how many of its messages the client has taken.
#[derive(Debug)]
struct Taken {
    nats: Weak<Nats>,
    inbox: String,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    arrived: u64,
    taken: u64,
    /// Since the latest report.
    messages: u32,
    bytes: usize,
}

impl Counts {
    /// Notes a message that the client has taken. Returns how many it has taken, if that is to be reported: when
    /// nothing is left to take, since the handler may wait, or when it is much.
    fn take(&mut self, bytes: usize) -> Option<u64> {
        self.taken += 1;
        self.messages += 1;
        self.bytes += bytes;
        let much = self.messages >= REPORT_MESSAGES || self.bytes >= REPORT_BYTES;
        if !much && self.taken < self.arrived {
            return None;
        }
        (self.messages, self.bytes) = (0, 0);
        Some(self.taken)
    }
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl flow::Sender for Taken {
    fn taken(&self, bytes: usize) {
        let report = self.lock().take(bytes);
        if let (Some(taken), Some(nats)) = (report, self.nats.upgrade()) {
            nats.send_to_engines(&self.inbox, taken.to_string().into_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failure(failed: Result<Vec<u64>, Failure>) -> String {
        failed.unwrap_err().to_string()
    }

    proptest! {
        #[test]
        fn parts_come_in_order(numbers in Just((0..40).collect::<Vec<u64>>()).prop_shuffle()) {
            let (mut order, now) = (Order::default(), Instant::now());
            let mut found = Vec::new();
            for number in numbers {
                found.extend(order.take(number, number, now).unwrap());
            }
            prop_assert_eq!(found, (0..40).collect::<Vec<_>>());
            prop_assert_eq!(order.missing(|_| true), None);
        }

        /// Whatever comes and is taken, in whatever order: once the client has taken all that has come, it is reported.
        #[test]
        fn a_handler_never_waits_for_a_report(steps in proptest::collection::vec((any::<bool>(), 0..REPORT_BYTES * 2), 1..200)) {
            let (mut counts, mut reported) = (Counts::default(), 0);
            for (arrives, bytes) in steps {
                if arrives {
                    counts.arrived += 1;
                } else if counts.taken < counts.arrived {
                    reported = counts.take(bytes).unwrap_or(reported);
                }
                prop_assert!(counts.taken < counts.arrived || reported == counts.taken);
                prop_assert!(counts.taken - reported < u64::from(REPORT_MESSAGES));
            }
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let (mut order, now) = (Order::default(), Instant::now());
        assert_eq!(order.take(0, 0, now).unwrap(), [0]);
        assert_eq!(order.missing(|_| true), None);
        assert!(order.take(3, 3, now).unwrap().is_empty());
        assert_eq!(order.missing(|_| false), None);
        let missing = order.missing(|since| since == now).unwrap();
        assert_eq!(lost(&missing).to_string(), "messages 2 to 3 of the answer were lost over NATS");
        assert!(order.take(2, 2, now).unwrap().is_empty());
        let missing = order.missing(|_| true).unwrap();
        assert_eq!(lost(&missing).to_string(), "message 2 of the answer was lost over NATS");
        assert_eq!(order.take(1, 1, now).unwrap(), [1, 2, 3]);
        assert_eq!(failure(order.take(3, 3, now)), "message 4 of the answer was sent by two handlers");
        assert!(failure(order.take(1000, 1000, now)).starts_with("messages 5 to 1000 of"));
    }

    #[test]
    fn a_stream_ends_with_its_engine() {
        let (arrivals, now, silence) = (Arrivals::default(), Instant::now(), Duration::from_secs(3));
        let message = || Part::Message { payload: Payload::pack("t.M", b""), credit: None };
        assert_eq!(arrivals.take(0, message(), now).unwrap().len(), 1);
        let taken =
            Taken { nats: Weak::new(), inbox: "_INBOX.one-credit.1".to_owned(), counts: Mutex::default() };
        arrivals.lock().taken = Some(Arc::new(taken));
        let broken =
            |at: Instant, up: bool| arrivals.broken(at, silence, |inbox| inbox.contains("one") && up);
        assert_eq!(broken(now, false), None, "its first heartbeat may be on its way");
        assert_eq!(broken(now + silence, true), None);
        let ended = broken(now + silence, false).unwrap();
        assert_eq!(ended.to_string(), "the engine that sent the answer has ended");
    }
}
