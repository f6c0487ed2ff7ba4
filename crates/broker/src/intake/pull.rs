//! Pulls as many messages from JetStream as there is room for, and keeps those in flight from being
//! redelivered.

use super::Incoming;
use crate::{
    Connection, Error, Headers, Sender,
    acker::PendingAcks,
    message::RawMessage,
    stream::{self, Limits},
    subject::Stage,
};
use async_nats::{Message, StatusCode, Subscriber, jetstream};
use futures::StreamExt as _;
use krt_model::hint;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, sleep_until},
};

/// How long the server keeps a pull request.
const PULL_EXPIRY: Duration = Duration::from_secs(10);
/// How much later a pull request without an answer counts as expired.
const EXPIRY_GRACE: Duration = Duration::from_secs(2);
/// Interval of the server's heartbeats for a pull request.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Silence after which the pull requests count as lost: in a cluster, the server that had them may be gone
/// while the connected one is not.
const SILENCE_TIMEOUT: Duration = Duration::from_millis(3500);
/// The pause after the server reports that the consumer is missing or not ready.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Takes the messages of a durable consumer.
#[derive(Debug)]
pub struct Pull {
    connection: Connection,
    context: jetstream::Context,
    stage: Arc<Stage>,
    limits: Limits,
    subscriber: Subscriber,
    inbox: String,
    held: Arc<PendingAcks>,
    room: usize,
    /// Requested messages that have not arrived, oldest request first.
    asked: VecDeque<PullRequest>,
    /// When the server last sent something, or got a request while none was pending.
    last_seen: Instant,
    not_before: Option<Instant>,
    progress: Interval,
    up: watch::Receiver<bool>,
    /// Whether it is closed, and everything that the server has sent was taken.
    has_ended: bool,
}

#[derive(Debug)]
struct PullRequest {
    count: usize,
    until: Instant,
}

/// The event that woke the intake.
enum WakeReason {
    Message(Option<Message>),
    Tick,
    RoomFreed,
    Connection,
    Silence,
}

impl Pull {
    pub(super) async fn open(
        connection: &Connection,
        sender: &Sender,
        stage: Arc<Stage>,
        room: usize,
        limits: Limits,
    ) -> Result<Self, Error> {
        let ack_wait = stream::ensure(&connection.jetstream(), &stage, limits).await?;
        Self::subscribe(connection, sender, stage, room, limits, ack_wait).await
    }

    /// Subscribes to an inbox for the messages of an existing consumer.
    async fn subscribe(
        connection: &Connection,
        sender: &Sender,
        stage: Arc<Stage>,
        room: usize,
        limits: Limits,
        ack_wait: Duration,
    ) -> Result<Self, Error> {
        let inbox = connection.new_inbox();
        let subscriber = connection.client().subscribe(inbox.clone()).await.map_err(|_| Error::Closed)?;
        let mut progress = tokio::time::interval(ack_wait / 4);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            context: connection.jetstream(),
            inbox,
            subscriber,
            progress,
            room,
            limits,
            held: Arc::new(PendingAcks::new(sender.clone(), Arc::clone(&stage), limits.tries)),
            asked: VecDeque::new(),
            last_seen: Instant::now(),
            not_before: None,
            up: connection.watch(),
            has_ended: false,
            connection: connection.clone(),
            stage,
        })
    }

    pub(super) async fn next(&mut self) -> Option<Incoming> {
        loop {
            self.request().await;
            if self.has_ended && self.held.len() == 0 {
                return None;
            }
            let woken = tokio::select! {
                message = self.subscriber.next(), if !self.has_ended => WakeReason::Message(message),
                _ = self.progress.tick() => WakeReason::Tick,
                () = self.held.left.notified() => WakeReason::RoomFreed,
                Ok(()) = self.up.changed() => WakeReason::Connection,
                () = sleep_until(self.last_seen + SILENCE_TIMEOUT), if !self.asked.is_empty() => WakeReason::Silence,
            };
            match woken {
                WakeReason::Message(None) if self.room > 0 => return None,
                WakeReason::Message(None) => self.has_ended = true,
                WakeReason::Message(Some(message)) => {
                    self.last_seen = Instant::now();
                    if let Some(incoming) = self.take(message).await {
                        return Some(incoming);
                    }
                }
                WakeReason::Tick if *self.up.borrow() => self.held.report_progress(),
                WakeReason::Tick => {}
                WakeReason::RoomFreed => {}
                // The server no longer knows the earlier requests.
                WakeReason::Connection | WakeReason::Silence => self.asked.clear(),
            }
        }
    }

    /// Ends the pull requests. The server would answer them again and again with a message that is given back here, and
    /// so use up its deliveries.
    pub(super) async fn close(&mut self) {
        self.room = 0;
        super::end(&mut self.subscriber, &self.connection).await;
    }

    /// Requests as many messages as there is room for, but not for every single place.
    async fn request(&mut self) {
        let now = Instant::now();
        while self.asked.front().is_some_and(|asked| asked.count == 0 || asked.until <= now) {
            self.asked.pop_front();
        }
        let waiting: usize = self.asked.iter().map(|asked| asked.count).sum();
        let count = self.room.saturating_sub(self.held.len() + waiting);
        let worth_it = count > 0 && (waiting == 0 || count * 2 >= self.room);
        if !worth_it || !*self.up.borrow() || self.not_before.is_some_and(|timestamp| now < timestamp) {
            return;
        }
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.stage.stream, self.stage.consumer);
        let body = format!(
            r#"{{"batch":{count},"expires":{},"idle_heartbeat":{}}}"#,
            PULL_EXPIRY.as_nanos(),
            HEARTBEAT_INTERVAL.as_nanos()
        );
        if self.asked.is_empty() {
            self.last_seen = now;
        }
        let sent =
            self.connection.client().publish_with_reply(subject, self.inbox.clone(), body.into()).await;
        if sent.is_ok() {
            self.asked.push_back(PullRequest { count, until: now + PULL_EXPIRY + EXPIRY_GRACE });
        }
    }

    async fn take(&mut self, message: Message) -> Option<Incoming> {
        if let Some(status) = message.status {
            self.handle_status(status, message.description.as_deref().unwrap_or_default()).await;
            return None;
        }
        // Other clients may send to this inbox; acknowledgements must go to the server only.
        let ack_subject = message.reply.clone().filter(|ack_subject| ack_subject.starts_with("$JS.ACK."))?;
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.count > 0) {
            asked.count -= 1;
        }
        let message = jetstream::Message { message, context: self.context.clone() };
        let tries = message.info().map_or(1, |info| u64::try_from(info.delivered).unwrap_or(1));
        let (message, _) = message.split();
        let acker = self.held.take(RawMessage {
            ack_subject,
            subject: message.subject,
            headers: message.headers.clone(),
            body: message.payload.clone(),
            tries,
        });
        if self.room == 0 {
            acker.nak();
            return None;
        }
        Some(Incoming {
            reply: None,
            headers: Headers::read(message.headers.as_ref()),
            body: message.payload,
            acker: Some(acker),
        })
    }

    /// Handles the server's report that a request has ended.
    async fn handle_status(&mut self, status: StatusCode, description: &str) {
        match status {
            // The oldest request has expired; no more of its messages arrive.
            StatusCode::TIMEOUT => {
                self.asked.pop_front();
            }
            StatusCode::IDLE_HEARTBEAT => {}
            status => {
                self.asked.clear();
                self.not_before = Some(Instant::now() + RETRY_DELAY);
                tracing::debug!(node = %self.stage.node, "NATS delivers no messages: {status} {description}");
                let missing = status == StatusCode::NO_RESPONDERS || description.contains("Consumer Deleted");
                if missing && let Err(error) = stream::ensure(&self.context, &self.stage, self.limits).await {
                    tracing::warn!(node = %self.stage.node, "it gets no messages from NATS: {}", hint::chain(&error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
