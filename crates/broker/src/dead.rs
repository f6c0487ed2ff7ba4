//! Dead letters: messages that were given up, kept with the reason until a user decides about them.

use crate::{
    Connection, Envelope, Error, Headers,
    message::RawMessage,
    stream,
    subject::{Namespace, Stage},
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

/// The headers of a dead letter.
mod name {
    pub(super) const REASON: &str = "Krt-Reason";
    pub(super) const SUBJECT: &str = "Krt-Subject";
    pub(super) const WORKFLOW: &str = "Krt-Workflow";
    pub(super) const NODE: &str = "Krt-Node";
    pub(super) const TRIES: &str = "Krt-Tries";
    pub(super) const REQUEST: &str = "Krt-Request";
    /// Defined by the server, which stores a message once.
    pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";
    /// Set by the server in answers without bodies.
    pub(super) const SIZE: &str = "Nats-Msg-Size";
}

/// Largest headers of a dead letter, in bytes.
pub const MAX_HEADERS: usize = 2048;
/// Characters of a reason that are kept.
const MAX_REASON: usize = 300;
/// Largest envelope that is decoded to find its request, in bytes.
const MAX_DECODED: usize = 64 << 20;
/// The most dead letters listed, whatever number the server reports.
pub const MAX_LISTED: usize = 100_000;
/// The longest text of a header that a list shows, bytes.
const MAX_HEADER_TEXT: usize = 1 << 10;
/// The most dead letters fetched by one request.
const BATCH: usize = 500;
/// Time for the server to answer such a request.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number, never reused.
    pub id: u64,
    /// When it was given up.
    pub time: Timestamp,
    /// The workflow.
    pub workflow: String,
    /// The node that did not finish it.
    pub node: String,
    /// The request's id; empty if unknown.
    pub request: String,
    /// The reason.
    pub reason: String,
    /// The number of deliveries.
    pub tries: u64,
    /// Its size on the wire, in bytes.
    pub size: u64,
}

/// Returns the subject and the headers of a dead letter.
pub(crate) fn address(stage: &Stage, message: &RawMessage, reason: &str) -> (String, HeaderMap) {
    let mut headers = message.headers.clone().unwrap_or_default();
    let request = Envelope::decode(message.body.clone(), MAX_DECODED)
        .map_or_else(|_| String::new(), |it| it.tracking_id);
    let tries = message.tries.to_string();
    for (name, value) in [
        (name::REASON, reason),
        (name::SUBJECT, message.subject.as_str()),
        (name::WORKFLOW, &stage.workflow),
        (name::NODE, &stage.node),
        (name::TRIES, &tries),
        (name::REQUEST, &request),
        // The same message may be given up twice, after a retry.
        (name::MESSAGE_ID, message.ack_subject.as_str()),
    ] {
        headers.insert(name, one_line(value));
    }
    (format!("{}.{}.{}", stage.dead, stage.workflow, stage.node), headers)
}

/// Makes a header's value: one line, shortened.
fn one_line(text: &str) -> String {
    let mut line = text.replace(['\r', '\n'], " ");
    if let Some((end, _)) = line.char_indices().nth(MAX_REASON) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// The dead letters of a version.
#[derive(Debug)]
pub struct DeadLetters {
    context: jetstream::Context,
    stream: Stream,
    /// The prefix of the subjects of the version's nodes.
    subjects: String,
}

impl DeadLetters {
    /// Opens the stream of a version's dead letters.
    pub async fn open(connection: &Connection, namespace: &Namespace, version: &Name) -> Result<Self, Error> {
        stream::prepare(connection, &[], stream::Limits::default()).await?;
        let context = connection.jetstream();
        let stream = stream::ensure_dead(&context, &namespace.dead_stream(version), None).await?;
        let subjects = format!("{}-", namespace.stream(version));
        Ok(Self { context, stream, subjects })
    }

    /// All of them, the oldest first, and at most [`MAX_LISTED`].
    pub async fn list(&self) -> Result<Vec<DeadLetter>, Error> {
        let count = self.stream.get_info().await.map_err(|error| self.failed("read", &error))?.state.messages;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            headers_only: true,
            ..pull::Config::default()
        };
        let consumer =
            self.stream.create_consumer(config).await.map_err(|error| self.failed("read", &error))?;
        let count = usize::try_from(count).map_or(MAX_LISTED, |count| count.min(MAX_LISTED));
        let (mut letters, mut seen) = (Vec::new(), 0);
        while seen < count {
            let batch = consumer.batch().max_messages(BATCH).expires(LIST_TIMEOUT);
            let batch = batch.messages().await.map_err(|error| self.failed("read", &error))?;
            let batch: Vec<_> = batch
                .take(BATCH.min(count - seen))
                .try_collect()
                .await
                .map_err(|error| self.failed("read", &error))?;
            if batch.is_empty() {
                break;
            }
            seen += batch.len();
            letters.extend(batch.iter().filter_map(listed));
        }
        Ok(letters)
    }

    /// Returns a dead letter with its envelope's bytes; `None` if the number does not exist.
    pub async fn get(&self, id: u64) -> Result<Option<(DeadLetter, Bytes)>, Error> {
        use async_nats::jetstream::stream::RawMessageErrorKind;
        match self.stream.get_raw_message(id).await {
            Ok(message) => Ok(Some((letter_of(&message), message.payload))),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    /// Sends a dead letter to its node again as a new message, without a client. Returns whether it existed.
    pub async fn retry(&self, id: u64) -> Result<bool, Error> {
        let Some((_, body)) = self.get(id).await? else { return Ok(false) };
        let message = self.stream.get_raw_message(id).await.map_err(|error| self.failed("read", &error))?;
        let subject = header(&message.headers, name::SUBJECT);
        // Other clients may write dead letters, and must not publish to any subject with the engine's rights.
        if !subject.starts_with(&self.subjects) {
            let reason = format!("its subject `{subject}` belongs to no node of the version");
            return Err(self.failed("retried", &reason));
        }
        let message_id = Some(format!("retry-{}-{id}", self.stream.cached_info().config.name));
        let metadata = Headers::read(Some(&message.headers)).metadata;
        let headers = Headers { no_client: true, message_id, metadata, ..Headers::default() };
        let publish = jetstream::message::PublishMessage::build()
            .payload(body)
            .headers(headers.to_map().unwrap_or_default());
        let stored = async { self.context.send_publish(subject, publish).await?.await };
        stored.await.map_err(|error| self.failed("retried", &error))?;
        self.drop_one(id).await
    }

    /// Removes a dead letter. Returns whether it existed.
    pub async fn drop_one(&self, id: u64) -> Result<bool, Error> {
        if self.get(id).await?.is_none() {
            return Ok(false);
        }
        self.stream.delete_message(id).await.map_err(|error| self.failed("removed", &error))
    }

    fn failed(&self, done: &'static str, error: &impl ToString) -> Error {
        let what = format!("a message in `{}`", self.stream.cached_info().config.name);
        Error::JetStream { what, done, reason: stream::reason(error) }
    }
}

fn letter_of(message: &StreamMessage) -> DeadLetter {
    let nanos = message.time.unix_timestamp_nanos();
    letter(&message.headers, message.sequence, nanos, Some(message.payload.len()))
}

fn listed(message: &jetstream::Message) -> Option<DeadLetter> {
    let info = message.info().ok()?;
    let empty = HeaderMap::new();
    let headers = message.headers.as_ref().unwrap_or(&empty);
    Some(letter(headers, info.stream_sequence, info.published.unix_timestamp_nanos(), None))
}

fn letter(headers: &HeaderMap, id: u64, nanos: i128, size: Option<usize>) -> DeadLetter {
    let number = |name| header(headers, name).parse().unwrap_or(0);
    DeadLetter {
        id,
        time: Timestamp(u64::try_from(nanos).unwrap_or(0)),
        workflow: shown(headers, name::WORKFLOW),
        node: shown(headers, name::NODE),
        request: shown(headers, name::REQUEST),
        reason: shown(headers, name::REASON),
        tries: number(name::TRIES),
        size: size.map_or_else(|| number(name::SIZE), |size| size as u64),
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
}

/// A header as a list shows it. Other clients may write any.
fn shown(headers: &HeaderMap, name: &str) -> String {
    let mut text = header(headers, name);
    text.truncate(text.floor_char_boundary(MAX_HEADER_TEXT));
    text
}
