//! Frames of the node protocol: what `protocol/README.md` says, as types.
//!
//! Reading is total: whatever a host sends is either a [`FromHost`] or a [`Breach`].

use bytes::{Buf, BufMut, Bytes, BytesMut};
use krt_model::{
    message::{self, Payload, Timestamp},
    version::PayloadForm,
};
use serde::{Deserialize, Serialize};

/// The version of the node protocol that is spoken here.
pub const PROTOCOL: u32 = 1;

/// Bytes before a frame's body: size, kind and id.
const HEADER: usize = 9;
/// What `size` counts besides the body: kind and id.
const COUNTED: usize = 5;

/// The largest frame that carries anything but a message, bytes.
pub const MAX_OTHER: usize = 1 << 20;

/// What the engine tells a host first.
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
    /// The workflows' names, in the order that deliveries count.
    pub workflows: Vec<String>,
    /// The package's root, absolute.
    pub base_path: String,
    /// The node's `src`, absolute.
    pub handler_path: String,
    /// Deliveries at a time.
    pub concurrency: u16,
    /// The largest `size` of a frame, bytes.
    pub max_frame: usize,
    /// The largest message, bytes.
    pub max_message: usize,
    /// Lower records are not sent.
    pub log_level: &'static str,
    /// What handlers get and return.
    pub payload: &'static str,
    /// Base64 of a `google.protobuf.FileDescriptorSet`.
    pub descriptors: String,
}

/// What a host tells when it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// Its SDK, name and version.
    #[serde(default)]
    pub sdk: String,
    /// Its language, with the version.
    #[serde(default)]
    pub language: String,
}

/// A frame from a host.
#[derive(Debug)]
pub enum FromHost {
    /// `init` has ended.
    Ready(Ready),
    /// The node cannot start.
    Broken(String),
    /// What a handler made of a delivery.
    Result {
        /// The delivery.
        id: u32,
        /// What came of it.
        status: Status,
        /// Whether the handler asked for an early exit.
        early_exit: bool,
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
    /// A log record.
    Log {
        /// The delivery it belongs to; 0 for none.
        id: u32,
        /// How serious it is.
        level: Level,
        /// When it was made.
        time: Timestamp,
        /// The record's text.
        text: String,
    },
    /// A measurement.
    Measurement {
        /// The delivery it belongs to; 0 for none.
        id: u32,
        /// What was measured.
        point: Measurement,
    },
    /// A document to save.
    Save {
        /// The call.
        call: u32,
        /// The delivery that it is about; 0 for none.
        delivery: u32,
        /// The collection's name.
        collection: String,
        /// The document, Extended JSON.
        document: String,
    },
    /// Documents to look for.
    Find {
        /// The call.
        call: u32,
        /// The collection's name.
        collection: String,
        /// The query, Extended JSON.
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
    /// With a message of that many bytes, which is above the limit.
    TooLarge(u64),
}

/// What a handler returned.
#[derive(Debug)]
pub enum Message {
    /// A protobuf message.
    Protobuf(Payload),
    /// Plain data, from a node with `payload: json`: what should be JSON.
    Json(Bytes),
}

/// How serious a log record of a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A record with a level of its own.
    Record(crate::logs::Level),
    /// A line of plain output.
    Plain,
}

/// A point that user code measured.
#[derive(Debug, Deserialize)]
pub struct Measurement {
    /// The measurement's name.
    pub measurement: String,
    /// Its values: text, numbers, booleans.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Its tags.
    #[serde(default)]
    pub tags: std::collections::BTreeMap<String, String>,
    /// Nanoseconds since the Unix epoch.
    pub time: i64,
}

/// How a host broke the protocol.
#[derive(Debug, thiserror::Error)]
pub enum Breach {
    /// More bytes than a frame may have.
    #[error("a frame of kind {kind} has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its kind.
        kind: u8,
        /// Its size, bytes.
        size: usize,
        /// The most it may have, bytes.
        limit: usize,
    },
    /// Fewer bytes than a frame has.
    #[error("a frame's size is {size}, the least is {COUNTED}")]
    TooSmall {
        /// Its size.
        size: usize,
    },
    /// A kind that the protocol does not have.
    #[error("{kind} is no kind of frame")]
    Kind {
        /// The kind.
        kind: u8,
    },
    /// A body that is too short for its kind, or holds values out of range.
    #[error("the body of a frame of kind {kind} does not parse: {what}")]
    Body {
        /// The kind.
        kind: u8,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A body that is not the JSON it should be.
    #[error("the body of a frame of kind {kind} is not the JSON it should be")]
    Json {
        /// The kind.
        kind: u8,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// A body that holds no message.
    #[error("the body of a frame of kind {kind} holds no message")]
    Message {
        /// The kind.
        kind: u8,
        /// What is wrong with it.
        #[source]
        source: message::Error,
    },
    /// A frame that cannot come at this time.
    #[error("{what}")]
    Unexpected {
        /// What came, and why it cannot.
        what: &'static str,
    },
    /// An id that names nothing in work.
    #[error("{what} names delivery {id}, which is not in work")]
    UnknownDelivery {
        /// The kind of frame.
        what: &'static str,
        /// The id.
        id: u32,
    },
}

mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const DELIVER: u8 = 2;
    pub(super) const CANCEL: u8 = 3;
    pub(super) const DONE: u8 = 4;
    pub(super) const DOCUMENT: u8 = 5;
    pub(super) const FAILED: u8 = 6;
    pub(super) const STOP: u8 = 7;
    pub(super) const READY: u8 = 64;
    pub(super) const BROKEN: u8 = 65;
    pub(super) const RESULT: u8 = 66;
    pub(super) const EARLY_REPLY: u8 = 67;
    pub(super) const LOG: u8 = 68;
    pub(super) const MEASUREMENT: u8 = 69;
    pub(super) const SAVE: u8 = 70;
    pub(super) const FIND: u8 = 71;
}

/// Takes one whole frame off the buffer, if there is one. `limit` is the largest `size`, bytes;
/// `form` is what the node's handlers return.
pub fn take(buffer: &mut BytesMut, limit: usize, form: PayloadForm) -> Result<Option<FromHost>, Breach> {
    let Some(header) = buffer.first_chunk::<HEADER>() else { return Ok(None) };
    let [s0, s1, s2, s3, kind, i0, i1, i2, i3] = *header;
    let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
    let id = u32::from_le_bytes([i0, i1, i2, i3]);
    if size < COUNTED {
        return Err(Breach::TooSmall { size });
    }
    let limit = if carries_message(kind) { limit } else { limit.min(limit_of(kind)) };
    if size > limit {
        return Err(Breach::TooLarge { kind, size, limit });
    }
    let whole = size + HEADER - COUNTED;
    if buffer.len() < whole {
        buffer.reserve(whole - buffer.len());
        return Ok(None);
    }
    let mut body = buffer.split_to(whole).freeze();
    body.advance(HEADER);
    parse(kind, id, body, form).map(Some)
}

fn carries_message(kind: u8) -> bool {
    matches!(kind, kind::RESULT | kind::EARLY_REPLY)
}

/// A document may be as large as the store takes (16 MiB, and more as JSON).
fn limit_of(kind: u8) -> usize {
    if kind == kind::SAVE { 64 << 20 } else { MAX_OTHER }
}

fn parse(kind: u8, id: u32, mut body: Bytes, form: PayloadForm) -> Result<FromHost, Breach> {
    let short = |_| Breach::Body { kind, what: "it is too short" };
    let moment = |body: &mut Bytes| body.try_get_u64_le().map(Timestamp).map_err(short);
    Ok(match kind {
        kind::READY => FromHost::Ready(json(kind, &body)?),
        kind::BROKEN => FromHost::Broken(text(&body)),
        kind::RESULT => {
            let status = body.try_get_u8().map_err(short)?;
            let flags = body.try_get_u8().map_err(short)?;
            let (start, end) = (moment(&mut body)?, moment(&mut body)?);
            let status = parse_status(kind, status, body, form)?;
            FromHost::Result { id, status, early_exit: flags & 1 == 1, start, end }
        }
        kind::EARLY_REPLY => FromHost::EarlyReply { id, message: message(kind, body, form)? },
        kind::LOG => {
            let level = body.try_get_u8().map_err(short)?;
            let level = parse_level(level).ok_or(Breach::Body { kind, what: "its level is above 4" })?;
            FromHost::Log { id, level, time: moment(&mut body)?, text: text(&body) }
        }
        kind::MEASUREMENT => FromHost::Measurement { id, point: json(kind, &body)? },
        kind::SAVE => {
            let save: Save<'_> = json(kind, &body)?;
            let (collection, document) = (save.collection, save.document.get().to_owned());
            FromHost::Save { call: id, delivery: save.delivery, collection, document }
        }
        kind::FIND => {
            let find: Find<'_> = json(kind, &body)?;
            let (collection, query) = (find.collection, find.query.get().to_owned());
            FromHost::Find { call: id, collection, query }
        }
        kind => return Err(Breach::Kind { kind }),
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

fn parse_status(kind: u8, status: u8, mut body: Bytes, form: PayloadForm) -> Result<Status, Breach> {
    Ok(match status {
        0 => Status::Message(message(kind, body, form)?),
        1 => Status::Nothing,
        2 => Status::Error(text(&body)),
        3 => Status::Cancelled,
        4 => Status::TooLarge(
            body.try_get_u64_le().map_err(|_| Breach::Body { kind, what: "it is too short" })?,
        ),
        _ => return Err(Breach::Body { kind, what: "its status is above 4" }),
    })
}

fn parse_level(level: u8) -> Option<Level> {
    use crate::logs::Level as Record;
    Some(match level {
        0 => Level::Record(Record::Debug),
        1 => Level::Record(Record::Info),
        2 => Level::Record(Record::Warn),
        3 => Level::Record(Record::Error),
        4 => Level::Plain,
        _ => return None,
    })
}

fn message(kind: u8, body: Bytes, form: PayloadForm) -> Result<Message, Breach> {
    match form {
        PayloadForm::Json => Ok(Message::Json(body)),
        PayloadForm::Protobuf => {
            Payload::parse(body).map(Message::Protobuf).map_err(|source| Breach::Message { kind, source })
        }
    }
}

fn json<'a, T: Deserialize<'a>>(kind: u8, body: &'a [u8]) -> Result<T, Breach> {
    serde_json::from_slice(body).map_err(|source| Breach::Json { kind, source })
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// Frames to a host, encoded into a buffer.
#[derive(Debug, Default)]
pub struct Outbox(BytesMut);

impl Outbox {
    /// What is yet to be sent.
    pub fn pending(&self) -> &[u8] {
        &self.0
    }

    /// The first `count` bytes were sent.
    pub fn sent(&mut self, count: usize) {
        self.0.advance(count);
        if self.0.is_empty() && self.0.capacity() > KEPT {
            self.0 = BytesMut::new();
        }
    }

    /// HELLO.
    pub fn hello(&mut self, hello: &Hello) {
        let body = serde_json::to_vec(hello).expect("a struct of texts and numbers is JSON");
        self.frame(kind::HELLO, 0, &[&body]);
    }

    /// DELIVER. `metadata` is JSON, or empty; `message` is an encoded `google.protobuf.Any`, or JSON.
    pub fn deliver(
        &mut self,
        id: u32,
        replied: bool,
        workflow: u16,
        request: &str,
        metadata: &[u8],
        message: &[u8],
    ) {
        let metadata_size = u16::try_from(metadata.len()).unwrap_or(0);
        let metadata = &metadata[..usize::from(metadata_size)];
        let request = &request.as_bytes()[..request.len().min(usize::from(u8::MAX))];
        let mut head = [0; 6];
        let mut fields = &mut head[..];
        fields.put_u8(u8::from(replied));
        fields.put_u16_le(workflow);
        fields.put_u8(u8::try_from(request.len()).unwrap_or(u8::MAX));
        fields.put_u16_le(metadata_size);
        self.frame(kind::DELIVER, id, &[&head, request, metadata, message]);
    }

    /// CANCEL.
    pub fn cancel(&mut self, id: u32) {
        self.frame(kind::CANCEL, id, &[]);
    }

    /// DONE.
    pub fn done(&mut self, call: u32) {
        self.frame(kind::DONE, call, &[]);
    }

    /// DOCUMENT.
    pub fn document(&mut self, call: u32, document: &str) {
        self.frame(kind::DOCUMENT, call, &[document.as_bytes()]);
    }

    /// FAILED.
    pub fn failed(&mut self, call: u32, why: &str) {
        self.frame(kind::FAILED, call, &[why.as_bytes()]);
    }

    /// STOP.
    pub fn stop(&mut self) {
        self.frame(kind::STOP, 0, &[]);
    }

    fn frame(&mut self, kind: u8, id: u32, parts: &[&[u8]]) {
        let body: usize = parts.iter().map(|part| part.len()).sum();
        let size = u32::try_from(body + COUNTED).expect("messages and documents are far below 4 GiB");
        self.0.reserve(body + HEADER);
        self.0.put_u32_le(size);
        self.0.put_u8(kind);
        self.0.put_u32_le(id);
        for part in parts {
            self.0.put_slice(part);
        }
    }
}

/// An empty buffer larger than this is given back to the system, bytes.
const KEPT: usize = 256 << 10;

#[cfg(test)]
mod tests;
