//! Messages that were given up: kept apart, with the reason, until somebody decides about them.

use crate::{
    Connection, Envelope, Error, Headers,
    receipt::Taken,
    stream,
    subject::{Station, dead_stream},
};
use async_nats::{
    HeaderMap,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, pull},
        message::StreamMessage,
        stream::Stream,
    },
};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use krt_model::{message::Timestamp, name::Name};
use std::time::Duration;

/// What stands beside a message that was given up.
mod name {
    pub(super) const REASON: &str = "Krt-Reason";
    pub(super) const SUBJECT: &str = "Krt-Subject";
    pub(super) const WORKFLOW: &str = "Krt-Workflow";
    pub(super) const NODE: &str = "Krt-Node";
    pub(super) const TRIES: &str = "Krt-Tries";
    pub(super) const REQUEST: &str = "Krt-Request";
    /// By the server, which stores a message once.
    pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";
    /// By the server, where only headers are asked for.
    pub(super) const SIZE: &str = "Nats-Msg-Size";
}

/// What the headers of a message that was given up may have, bytes.
pub const BESIDE: usize = 2048;
/// As much of a reason is kept, in characters.
const REASON: usize = 300;
/// The longest envelope that is opened to see whose it is.
const OPENED: usize = 64 << 20;
/// How many are looked at by one question to the server.
const AT_ONCE: usize = 500;
/// How long the server may take to give some of them.
const LIST_WITHIN: Duration = Duration::from_secs(5);

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number; none is used twice.
    pub id: u64,
    /// When it was given up.
    pub time: Timestamp,
    /// The workflow.
    pub workflow: String,
    /// The node that did not get it done.
    pub node: String,
    /// The request's id; empty if it is not known.
    pub request: String,
    /// Why it was given up.
    pub reason: String,
    /// How many times it was given out.
    pub tries: u64,
    /// Its bytes, as they travel.
    pub size: u64,
}

/// Where a message that is given up goes, and what stands beside it.
pub(crate) fn address(station: &Station, message: &Taken, reason: &str) -> (String, HeaderMap) {
    let mut headers = message.headers.clone().unwrap_or_default();
    let request =
        Envelope::decode(message.body.clone(), OPENED).map_or_else(|_| String::new(), |it| it.tracking_id);
    let tries = message.tries.to_string();
    for (name, value) in [
        (name::REASON, reason),
        (name::SUBJECT, message.subject.as_str()),
        (name::WORKFLOW, &station.workflow),
        (name::NODE, &station.node),
        (name::TRIES, &tries),
        (name::REQUEST, &request),
        // The same message may be given up twice, after it was tried again.
        (name::MESSAGE_ID, message.marks.as_str()),
    ] {
        headers.insert(name, one_line(value));
    }
    (format!("{}.{}.{}", station.dead, station.workflow, station.node), headers)
}

/// Headers have one line, and not a long one.
fn one_line(text: &str) -> String {
    let mut line = text.replace(['\r', '\n'], " ");
    if let Some((end, _)) = line.char_indices().nth(REASON) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// All messages of a version that were given up.
#[derive(Debug)]
pub struct DeadLetters {
    context: jetstream::Context,
    stream: Stream,
}

impl DeadLetters {
    /// Finds them.
    pub async fn open(connection: &Connection, runtime: &str, version: &Name) -> Result<Self, Error> {
        stream::prepare(connection, &[], stream::Limits::default()).await?;
        let context = connection.jetstream();
        let stream = stream::ensure_dead(&context, &dead_stream(runtime, version)).await?;
        Ok(Self { context, stream })
    }

    /// All of them, the oldest first.
    pub async fn list(&self) -> Result<Vec<Letter>, Error> {
        let count = self.stream.get_info().await.map_err(|error| self.failed("read", &error))?.state.messages;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            headers_only: true,
            ..pull::Config::default()
        };
        let consumer =
            self.stream.create_consumer(config).await.map_err(|error| self.failed("read", &error))?;
        let mut letters = Vec::new();
        while letters.len() < usize::try_from(count).unwrap_or(usize::MAX) {
            let batch = consumer.batch().max_messages(AT_ONCE).expires(LIST_WITHIN);
            let batch = batch.messages().await.map_err(|error| self.failed("read", &error))?;
            let left = usize::try_from(count).unwrap_or(usize::MAX) - letters.len();
            let batch: Vec<_> = batch
                .take(left.min(AT_ONCE))
                .try_collect()
                .await
                .map_err(|error| self.failed("read", &error))?;
            if batch.is_empty() {
                break;
            }
            letters.extend(batch.iter().filter_map(listed));
        }
        Ok(letters)
    }

    /// One of them, with its envelope's bytes; `None` where there is none of that number.
    pub async fn get(&self, id: u64) -> Result<Option<(Letter, Bytes)>, Error> {
        use async_nats::jetstream::stream::RawMessageErrorKind;
        match self.stream.get_raw_message(id).await {
            Ok(message) => Ok(Some((letter_of(&message), message.payload))),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    /// Gives one out again, as new: nobody waits for its answer any more. Whether there was one.
    pub async fn retry(&self, id: u64) -> Result<bool, Error> {
        let Some((_, body)) = self.get(id).await? else { return Ok(false) };
        let message = self.stream.get_raw_message(id).await.map_err(|error| self.failed("read", &error))?;
        let subject = header(&message.headers, name::SUBJECT);
        let message_id = Some(format!("retry-{}-{id}", self.stream.cached_info().config.name));
        let headers = Headers { nobody: true, message_id, ..Headers::default() };
        let publish = jetstream::message::PublishMessage::build()
            .payload(body)
            .headers(headers.to_map().unwrap_or_default());
        let stored = async { self.context.send_publish(subject, publish).await?.await };
        stored.await.map_err(|error| self.failed("given out again", &error))?;
        self.drop_one(id).await
    }

    /// Removes one. Whether there was one.
    pub async fn drop_one(&self, id: u64) -> Result<bool, Error> {
        if self.get(id).await?.is_none() {
            return Ok(false);
        }
        self.stream.delete_message(id).await.map_err(|error| self.failed("removed", &error))
    }

    fn failed(&self, done: &'static str, error: &impl ToString) -> Error {
        let what = format!("a message in `{}`", self.stream.cached_info().config.name);
        Error::JetStream { what, done, reason: error.to_string() }
    }
}

fn letter_of(message: &StreamMessage) -> Letter {
    let nanos = message.time.unix_timestamp_nanos();
    letter(&message.headers, message.sequence, nanos, Some(message.payload.len()))
}

fn listed(message: &jetstream::Message) -> Option<Letter> {
    let info = message.info().ok()?;
    let empty = HeaderMap::new();
    let headers = message.headers.as_ref().unwrap_or(&empty);
    Some(letter(headers, info.stream_sequence, info.published.unix_timestamp_nanos(), None))
}

fn letter(headers: &HeaderMap, id: u64, nanos: i128, size: Option<usize>) -> Letter {
    let number = |name| header(headers, name).parse().unwrap_or(0);
    Letter {
        id,
        time: Timestamp(u64::try_from(nanos).unwrap_or(0)),
        workflow: header(headers, name::WORKFLOW),
        node: header(headers, name::NODE),
        request: header(headers, name::REQUEST),
        reason: header(headers, name::REASON),
        tries: number(name::TRIES),
        size: size.map_or_else(|| number(name::SIZE), |size| size as u64),
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
}
