//! Asks JetStream for as many messages as there is room for, and keeps those that are in work from being
//! given out again.

use super::Incoming;
use crate::{
    Connection, Error, Headers, Sender,
    receipt::{Held, Taken},
    stream::{self, Limits},
    subject::Station,
};
use async_nats::{Message, StatusCode, Subscriber, jetstream};
use futures::StreamExt as _;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior},
};

/// How long the server keeps a request for messages.
const EXPIRES: Duration = Duration::from_secs(10);
/// How much later a request counts as gone that the server said nothing of.
const LATE: Duration = Duration::from_secs(2);
/// The pause after the server said that it has no such consumer, or is not ready.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes the messages of a durable consumer.
#[derive(Debug)]
pub struct Pull {
    connection: Connection,
    context: jetstream::Context,
    station: Arc<Station>,
    limits: Limits,
    subscriber: Subscriber,
    inbox: String,
    held: Arc<Held>,
    room: usize,
    /// What was asked for and has not come, the oldest first.
    asked: VecDeque<Asked>,
    not_before: Option<Instant>,
    progress: Interval,
    up: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Asked {
    count: usize,
    until: Instant,
}

/// What woke the intake.
enum Woken {
    Came(Option<Message>),
    Tick,
    Left,
    Connection,
}

impl Pull {
    pub(super) async fn open(
        connection: &Connection,
        sender: &Sender,
        station: Arc<Station>,
        room: usize,
        limits: Limits,
    ) -> Result<Self, Error> {
        let context = connection.jetstream();
        let ack_wait = stream::ensure(&context, &station, limits).await?;
        let inbox = connection.new_inbox();
        let subscriber = connection.client().subscribe(inbox.clone()).await.map_err(|_| Error::Closed)?;
        let mut progress = tokio::time::interval(ack_wait / 4);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            context,
            inbox,
            subscriber,
            progress,
            room,
            limits,
            held: Arc::new(Held::new(sender.clone(), Arc::clone(&station), limits.tries)),
            asked: VecDeque::new(),
            not_before: None,
            up: connection.watch(),
            connection: connection.clone(),
            station,
        })
    }

    pub(super) async fn next(&mut self) -> Option<Incoming> {
        loop {
            self.ask().await;
            if self.room == 0 && self.held.len() == 0 {
                return None;
            }
            let woken = tokio::select! {
                message = self.subscriber.next() => Woken::Came(message),
                _ = self.progress.tick() => Woken::Tick,
                () = self.held.left.notified() => Woken::Left,
                Ok(()) = self.up.changed() => Woken::Connection,
            };
            match woken {
                Woken::Came(None) => return None,
                Woken::Came(Some(message)) => {
                    if let Some(incoming) = self.take(message).await {
                        return Some(incoming);
                    }
                }
                Woken::Tick if *self.up.borrow() => self.held.tell_progress(),
                Woken::Tick => {}
                Woken::Left => {}
                // What was asked of the server before, it no longer knows.
                Woken::Connection => self.asked.clear(),
            }
        }
    }

    pub(super) fn close(&mut self) {
        self.room = 0;
    }

    /// Asks for as many as there is room for, but not for each one that leaves.
    async fn ask(&mut self) {
        let now = Instant::now();
        while self.asked.front().is_some_and(|asked| asked.count == 0 || asked.until <= now) {
            self.asked.pop_front();
        }
        let waiting: usize = self.asked.iter().map(|asked| asked.count).sum();
        let count = self.room.saturating_sub(self.held.len() + waiting);
        let worth_it = count > 0 && (waiting == 0 || count * 2 >= self.room);
        if !worth_it || !*self.up.borrow() || self.not_before.is_some_and(|moment| now < moment) {
            return;
        }
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.station.stream, self.station.consumer);
        let body = format!("{{\"batch\":{count},\"expires\":{}}}", EXPIRES.as_nanos());
        let sent =
            self.connection.client().publish_with_reply(subject, self.inbox.clone(), body.into()).await;
        if sent.is_ok() {
            self.asked.push_back(Asked { count, until: now + EXPIRES + LATE });
        }
    }

    async fn take(&mut self, message: Message) -> Option<Incoming> {
        if let Some(status) = message.status {
            self.told(status, message.description.as_deref().unwrap_or_default()).await;
            return None;
        }
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.count > 0) {
            asked.count -= 1;
        }
        let marks = message.reply.clone()?;
        let message = jetstream::Message { message, context: self.context.clone() };
        let tries = message.info().map_or(1, |info| u64::try_from(info.delivered).unwrap_or(1));
        let (message, _) = message.split();
        let receipt = self.held.take(Taken {
            marks,
            subject: message.subject,
            headers: message.headers.clone(),
            body: message.payload.clone(),
            tries,
        });
        if self.room == 0 {
            receipt.release();
            return None;
        }
        Some(Incoming {
            reply: None,
            headers: Headers::read(message.headers.as_ref()),
            body: message.payload,
            receipt: Some(receipt),
        })
    }

    /// The server says that a request has ended.
    async fn told(&mut self, status: StatusCode, words: &str) {
        match status {
            // The time of the oldest is over; more of it does not come.
            StatusCode::TIMEOUT => {
                self.asked.pop_front();
            }
            StatusCode::IDLE_HEARTBEAT => {}
            status => {
                self.asked.clear();
                self.not_before = Some(Instant::now() + PAUSE);
                tracing::debug!(node = %self.station.node, "NATS gives no messages: {status} {words}");
                let missing = status == StatusCode::NO_RESPONDERS || words.contains("Consumer Deleted");
                if missing && let Err(error) = stream::ensure(&self.context, &self.station, self.limits).await
                {
                    tracing::warn!(node = %self.station.node, "it gets no messages from NATS: {error}");
                }
            }
        }
    }
}
