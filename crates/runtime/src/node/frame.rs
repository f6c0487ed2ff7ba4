//! Frames of the node protocol, as specified in `protocol/README.md`.
//!
//! Reading is total: any input from a worker is either a [`WorkerFrame`] or a [`ProtocolError`].

mod measurement;

pub use measurement::{Field, Measurement};

use crate::memory::Full;
use bytes::{Buf, Bytes};
use krt_model::{
    message::{self, Payload, Timestamp},
    version::{Batch, PayloadForm},
};
use serde::{Deserialize, Serialize};

/// The version of the node protocol.
pub const PROTOCOL: u32 = 1;

/// Bytes before a frame's body: size, kind and id.
pub(super) const HEADER: usize = 9;
/// Bytes besides the body that `size` counts: kind and id.
pub(super) const COUNTED: usize = 5;

/// Largest frame without a message, in bytes.
pub const MAX_OTHER: usize = 1 << 20;

/// The engine's first frame to a worker.
#[derive(Debug, Clone, Serialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The node's name.
    pub node: String,
    /// The version's name.
    pub version: String,
    /// The version's id.
    pub version_id: String,
    /// The runtime's id.
    pub runtime: String,
    /// The workflows' names; deliveries refer to their indexes.
    pub workflows: Vec<String>,
    /// The package's root, absolute.
    pub base_path: String,
    /// The node's `src`, absolute.
    pub handler_path: String,
    /// Concurrent deliveries.
    pub concurrency: u16,
    /// The largest `size` of a frame, in bytes.
    pub max_frame: usize,
    /// The largest message, in bytes.
    pub max_message: usize,
    /// The lowest log level that the worker should send.
    pub log_level: &'static str,
    /// The form of handlers' inputs and results.
    pub payload: &'static str,
    /// Whether the handler gets batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<HelloBatch>,
    /// How much of a streamed answer may wait for its client; `None` if the node has no workflow with such an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<HelloStream>,
    /// Base64 of a `google.protobuf.FileDescriptorSet`.
    pub descriptors: String,
}

/// The batches of a node.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct HelloBatch {
    /// The most deliveries of a batch.
    pub max: u16,
}

/// How much of a streamed answer may wait for its client.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct HelloStream {
    /// Messages.
    pub messages: u32,
    /// Bytes; the last message may exceed them.
    pub bytes: usize,
}

impl From<Batch> for HelloBatch {
    fn from(batch: Batch) -> Self {
        Self { max: batch.max }
    }
}

/// A worker's report that it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// The protocol version of the worker.
    pub protocol: u32,
    /// Its SDK, with name and version.
    #[serde(default)]
    pub sdk: String,
    /// Its language, with version.
    #[serde(default)]
    pub language: String,
    /// Whether it knows batches.
    #[serde(default)]
    pub batch: bool,
    /// Whether it knows streams.
    #[serde(default)]
    pub stream: bool,
    /// Whether other workers can be forked from it.
    #[serde(default)]
    pub fork: bool,
}

/// A frame from a worker.
#[derive(Debug)]
pub enum WorkerFrame {
    /// `init` has ended.
    Ready(Ready),
    /// The node cannot start.
    Broken(String),
    /// The result of a delivery.
    Result {
        /// The delivery.
        id: u32,
        /// How the handler ended.
        status: Status,
        /// Whether the handler asked for an early exit.
        early_exit: bool,
        /// Whether its batch failed as a whole.
        whole: bool,
        /// When the handler was called.
        start: Timestamp,
        /// When it returned.
        end: Timestamp,
    },
    /// An early reply.
    EarlyReply {
        /// The delivery.
        id: u32,
        /// The answer.
        message: Message,
    },
    /// A message of a streamed answer, which goes on.
    Message {
        /// The delivery.
        id: u32,
        /// The message.
        message: Message,
    },
    /// A log record.
    Log {
        /// The delivery it belongs to; 0 for none.
        id: u32,
        /// Its level.
        level: Level,
        /// Its time.
        time: Timestamp,
        /// The record's text.
        text: String,
    },
    /// A measurement.
    Measurement {
        /// The delivery it belongs to; 0 for none.
        id: u32,
        /// The measured point.
        point: Measurement,
    },
    /// A document to save.
    Save {
        /// The call.
        call: u32,
        /// The delivery it belongs to; 0 for none.
        delivery: u32,
        /// The collection's name.
        collection: String,
        /// The document, as Extended JSON.
        document: String,
    },
    /// A query for documents.
    Find {
        /// The call.
        call: u32,
        /// The collection's name.
        collection: String,
        /// The query, as Extended JSON.
        query: String,
    },
}

/// How a handler ended.
#[derive(Debug)]
pub enum Status {
    /// With a message.
    Message(Message),
    /// With nothing.
    Nothing,
    /// With an error.
    Error(String),
    /// It was cancelled.
    Cancelled,
    /// With a message of this many bytes, above the limit.
    TooLarge(u64),
}

/// A handler's message.
#[derive(Debug)]
pub enum Message {
    /// A protobuf message.
    Protobuf(Payload),
    /// Plain data, from a node with `payload: json`: unvalidated JSON.
    Json(Bytes),
    /// A message that was not read, for lack of memory.
    NoRoom(Full),
}

impl Message {
    /// Returns its size as the worker sent it, in bytes; 0 if it was not read.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Protobuf(payload) => payload.encoded().len(),
            Self::Json(text) => text.len(),
            Self::NoRoom(_) => 0,
        }
    }
}

/// The level of a worker's log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A record with its own level.
    Record(krt_model::log::Level),
    /// A line of plain output.
    Plain,
}

/// How a worker broke the protocol.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// More bytes than a frame may have.
    #[error("a frame of kind {kind} has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its kind.
        kind: u8,
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Fewer bytes than a frame has.
    #[error("a frame's size is {size}, the least is {COUNTED}")]
    TooSmall {
        /// Its size.
        size: usize,
    },
    /// An unknown kind.
    #[error("unknown frame kind {kind}")]
    Kind {
        /// The kind.
        kind: u8,
    },
    /// A body that is too short for its kind, or has values out of range.
    #[error("the body of a frame of kind {kind} does not parse: {what}")]
    Body {
        /// The kind.
        kind: u8,
        /// The error.
        what: &'static str,
    },
    /// A body that is not the required JSON.
    #[error("the body of a frame of kind {kind} is not the JSON it should be")]
    Json {
        /// The kind.
        kind: u8,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
    /// A body that does not hold a message.
    #[error("the body of a frame of kind {kind} holds no message")]
    Message {
        /// The kind.
        kind: u8,
        /// The error.
        #[source]
        source: message::Error,
    },
    /// A frame not allowed in this state.
    #[error("{what}")]
    Unexpected {
        /// The frame, and why it is not allowed.
        what: &'static str,
    },
    /// An id that is not in flight.
    #[error("{what} names delivery {id}, which is not in flight")]
    UnknownDelivery {
        /// The kind of frame.
        what: &'static str,
        /// The id.
        id: u32,
    },
}

pub(super) mod kind {
    pub(in super::super) const HELLO: u8 = 1;
    pub(in super::super) const DELIVER: u8 = 2;
    pub(in super::super) const CANCEL: u8 = 3;
    pub(in super::super) const DONE: u8 = 4;
    pub(in super::super) const DOCUMENT: u8 = 5;
    pub(in super::super) const FAILED: u8 = 6;
    pub(in super::super) const STOP: u8 = 7;
    pub(in super::super) const CREDIT: u8 = 8;
    pub(in super::super) const READY: u8 = 64;
    pub(in super::super) const BROKEN: u8 = 65;
    pub(in super::super) const RESULT: u8 = 66;
    pub(in super::super) const EARLY_REPLY: u8 = 67;
    pub(in super::super) const LOG: u8 = 68;
    pub(in super::super) const MEASUREMENT: u8 = 69;
    pub(in super::super) const SAVE: u8 = 70;
    pub(in super::super) const FIND: u8 = 71;
    pub(in super::super) const MESSAGE: u8 = 72;
}

/// The flags of frames.
pub(super) mod flag {
    /// Of DELIVER: the request already has a reply.
    pub(in super::super) const REPLIED: u8 = 1;
    /// Of DELIVER: the next DELIVER is of the same batch.
    pub(in super::super) const MORE: u8 = 1 << 1;
    /// Of DELIVER: the answer is a stream.
    pub(in super::super) const STREAM: u8 = 1 << 2;
    /// Of RESULT: an early exit.
    pub(super) const EARLY_EXIT: u8 = 1;
    /// Of RESULT: the batch failed as a whole.
    pub(super) const WHOLE: u8 = 1 << 1;
}

/// The head of a frame.
#[derive(Debug)]
pub(super) struct Head {
    kind: u8,
    id: u32,
    /// Bytes of the frame, including the head.
    pub(super) whole: usize,
}

/// Reads the head of the frame at the start of a buffer, if complete. `limit` is the largest `size`, in
/// bytes.
pub(super) fn head(buffer: &[u8], limit: usize) -> Result<Option<Head>, ProtocolError> {
    let Some(header) = buffer.first_chunk::<HEADER>() else { return Ok(None) };
    let [s0, s1, s2, s3, kind, i0, i1, i2, i3] = *header;
    let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
    let id = u32::from_le_bytes([i0, i1, i2, i3]);
    if size < COUNTED {
        return Err(ProtocolError::TooSmall { size });
    }
    let limit = if carries_message(kind) { limit } else { limit.min(limit_of(kind)) };
    if size > limit {
        return Err(ProtocolError::TooLarge { kind, size, limit });
    }
    Ok(Some(Head { kind, id, whole: size + HEADER - COUNTED }))
}

impl Head {
    /// Returns whether the frame may carry a message.
    pub(super) fn carries_message(&self) -> bool {
        carries_message(self.kind)
    }

    /// Returns the length of the body before a message, in bytes.
    pub(super) fn before_message(&self) -> usize {
        // Status, flags and two times.
        let fields = if self.kind == kind::RESULT { 18 } else { 0 };
        fields.min(self.whole - HEADER)
    }
}

/// Parses the fields before a message for which there is no room.
pub(super) fn parse_without_message(
    head: &Head,
    body: Bytes,
    full: Full,
) -> Result<WorkerFrame, ProtocolError> {
    let (id, message) = (head.id, Message::NoRoom(full));
    match head.kind {
        kind::EARLY_REPLY => Ok(WorkerFrame::EarlyReply { id, message }),
        kind::MESSAGE => Ok(WorkerFrame::Message { id, message }),
        _ => result(id, body, |_, _| Ok(Status::Message(message))),
    }
}

/// Parses a result; `parse` makes its status from a number and the rest of the body.
fn result(
    id: u32,
    mut body: Bytes,
    parse: impl FnOnce(u8, Bytes) -> Result<Status, ProtocolError>,
) -> Result<WorkerFrame, ProtocolError> {
    let short = |_| ProtocolError::Body { kind: kind::RESULT, what: "it is too short" };
    let status = body.try_get_u8().map_err(short)?;
    let flags = body.try_get_u8().map_err(short)?;
    let start = body.try_get_u64_le().map(Timestamp).map_err(short)?;
    let end = body.try_get_u64_le().map(Timestamp).map_err(short)?;
    let (early_exit, whole) = (flags & flag::EARLY_EXIT != 0, flags & flag::WHOLE != 0);
    Ok(WorkerFrame::Result { id, status: parse(status, body)?, early_exit, whole, start, end })
}

fn carries_message(kind: u8) -> bool {
    matches!(kind, kind::RESULT | kind::EARLY_REPLY | kind::MESSAGE)
}

/// Returns the largest `size` of a kind. A document may be as large as the store accepts: 16 MiB, and more as
/// JSON.
fn limit_of(kind: u8) -> usize {
    if kind == kind::SAVE { 64 << 20 } else { MAX_OTHER }
}

/// Parses a frame's body.
pub(super) fn parse(head: &Head, mut body: Bytes, form: PayloadForm) -> Result<WorkerFrame, ProtocolError> {
    let Head { kind, id, .. } = *head;
    let short = |_| ProtocolError::Body { kind, what: "it is too short" };
    let moment = |body: &mut Bytes| body.try_get_u64_le().map(Timestamp).map_err(short);
    Ok(match kind {
        kind::READY => WorkerFrame::Ready(json(kind, &body)?),
        kind::BROKEN => WorkerFrame::Broken(text(&body)),
        kind::RESULT => result(id, body, |status, body| parse_status(kind, status, body, form))?,
        kind::EARLY_REPLY => WorkerFrame::EarlyReply { id, message: message(kind, body, form)? },
        kind::MESSAGE => WorkerFrame::Message { id, message: message(kind, body, form)? },
        kind::LOG => {
            let level = body.try_get_u8().map_err(short)?;
            let level =
                parse_level(level).ok_or(ProtocolError::Body { kind, what: "its level is above 4" })?;
            WorkerFrame::Log { id, level, time: moment(&mut body)?, text: text(&body) }
        }
        kind::MEASUREMENT => WorkerFrame::Measurement { id, point: json(kind, &body)? },
        kind::SAVE => {
            let save: Save<'_> = json(kind, &body)?;
            let (collection, document) = (save.collection, save.document.get().to_owned());
            WorkerFrame::Save { call: id, delivery: save.delivery, collection, document }
        }
        kind::FIND => {
            let find: Find<'_> = json(kind, &body)?;
            let (collection, query) = (find.collection, find.query.get().to_owned());
            WorkerFrame::Find { call: id, collection, query }
        }
        kind => return Err(ProtocolError::Kind { kind }),
    })
}

#[derive(Deserialize)]
struct Save<'a> {
    #[serde(default)]
    delivery: u32,
    collection: String,
    #[serde(borrow)]
    document: &'a serde_json::value::RawValue,
}

#[derive(Deserialize)]
struct Find<'a> {
    collection: String,
    #[serde(borrow)]
    query: &'a serde_json::value::RawValue,
}

fn parse_status(kind: u8, status: u8, mut body: Bytes, form: PayloadForm) -> Result<Status, ProtocolError> {
    Ok(match status {
        0 => Status::Message(message(kind, body, form)?),
        1 => Status::Nothing,
        2 => Status::Error(text(&body)),
        3 => Status::Cancelled,
        4 => Status::TooLarge(
            body.try_get_u64_le().map_err(|_| ProtocolError::Body { kind, what: "it is too short" })?,
        ),
        _ => return Err(ProtocolError::Body { kind, what: "its status is above 4" }),
    })
}

fn parse_level(level: u8) -> Option<Level> {
    use krt_model::log::Level as Record;
    Some(match level {
        0 => Level::Record(Record::Debug),
        1 => Level::Record(Record::Info),
        2 => Level::Record(Record::Warn),
        3 => Level::Record(Record::Error),
        4 => Level::Plain,
        _ => return None,
    })
}

fn message(kind: u8, body: Bytes, form: PayloadForm) -> Result<Message, ProtocolError> {
    match form {
        PayloadForm::Json => Ok(Message::Json(body)),
        PayloadForm::Protobuf => Payload::parse(body)
            .map(Message::Protobuf)
            .map_err(|source| ProtocolError::Message { kind, source }),
    }
}

fn json<'a, T: Deserialize<'a>>(kind: u8, body: &'a [u8]) -> Result<T, ProtocolError> {
    serde_json::from_slice(body).map_err(|source| ProtocolError::Json { kind, source })
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[cfg(test)]
mod tests;
