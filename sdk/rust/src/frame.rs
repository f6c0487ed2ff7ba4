//! The node protocol's frames: numbers and layouts. `protocol/README.md` explains their meaning.

use bytes::Bytes;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// The protocol version of this SDK.
pub(crate) const PROTOCOL: u64 = 1;

/// The largest `size` of a LOG: longer records are cut.
pub(crate) const MAX_LOG: usize = 256 << 10;

/// The largest `size` of a FIND or a MEASUREMENT.
pub(crate) const MAX_OTHER: usize = 1 << 20;

/// The largest `size` of a SAVE.
pub(crate) const MAX_SAVE: usize = 64 << 20;

/// The bytes before a frame's body: size, kind, id.
pub(crate) const HEADER: usize = 9;

/// The bytes before a frame's body that `size` counts.
pub(crate) const COUNTED: usize = 5;

/// The bytes of a RESULT before its last part.
pub(crate) const RESULT_HEAD: usize = HEADER + 18;

/// The bytes in the body of a LOG before its text.
pub(crate) const LOG_HEAD: usize = 9;

/// The kinds of frames from the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FromEngine {
    Hello,
    Deliver,
    Cancel,
    Done,
    Document,
    Failed,
    Stop,
    Credit,
}

impl FromEngine {
    pub(crate) fn of(kind: u8) -> Option<Self> {
        Some(match kind {
            1 => Self::Hello,
            2 => Self::Deliver,
            3 => Self::Cancel,
            4 => Self::Done,
            5 => Self::Document,
            6 => Self::Failed,
            7 => Self::Stop,
            8 => Self::Credit,
            _ => return None,
        })
    }
}

/// The kinds of frames from the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WorkerFrame {
    Ready = 64,
    Broken,
    Result,
    EarlyReply,
    Log,
    Measurement,
    Save,
    Find,
    Message,
}

/// How a handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    Answer,
    None,
    Error,
    Cancelled,
    TooLarge,
}

/// A violation of the protocol.
#[derive(Debug, thiserror::Error)]
#[error("the engine broke the node protocol: {0}")]
pub(crate) struct ProtocolError(pub(crate) String);

/// A frame from the engine.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: FromEngine,
    pub(crate) id: u32,
    pub(crate) body: Bytes,
}

/// Encodes a frame with these parts as its body.
pub(crate) fn frame(kind: WorkerFrame, id: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + parts.iter().map(|part| part.len()).sum::<usize>());
    out.resize(HEADER, 0);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    close(&mut out, kind, id);
    out
}

/// Writes the header into a buffer that has room for it at its start.
pub(crate) fn close(out: &mut [u8], kind: WorkerFrame, id: u32) {
    let size = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
    out[..4].copy_from_slice(&size.to_le_bytes());
    out[4] = kind as u8;
    out[5..HEADER].copy_from_slice(&id.to_le_bytes());
}

/// When a handler ran, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The flags of a RESULT.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ResultFlags {
    pub(crate) early_exit: bool,
    /// Whether the batch failed as a whole.
    pub(crate) whole: bool,
}

/// Writes the head of a RESULT into a buffer that has room for it at its start.
pub(crate) fn close_result(out: &mut [u8], id: u32, status: Status, flags: ResultFlags, span: Span) {
    let bits = u8::from(flags.early_exit) | u8::from(flags.whole) << 1;
    out[HEADER..HEADER + 2].copy_from_slice(&[status as u8, bits]);
    out[HEADER + 2..HEADER + 10].copy_from_slice(&span.start.to_le_bytes());
    out[HEADER + 10..RESULT_HEAD].copy_from_slice(&span.end.max(span.start).to_le_bytes());
    close(out, WorkerFrame::Result, id);
}

/// The fields of a DELIVER.
pub(crate) struct Deliver {
    pub(crate) replied: bool,
    /// The id of the request.
    pub(crate) request: Arc<str>,
    pub(crate) metadata: Bytes,
    pub(crate) payload: Bytes,
    /// Whether another DELIVER of the same batch follows.
    pub(crate) more: bool,
    /// Whether the answer is a stream.
    pub(crate) streams: bool,
}

impl Deliver {
    /// Parses the body of a DELIVER. Skips its workflow.
    pub(crate) fn parse(body: &Bytes) -> Result<Self, &'static str> {
        let [flags, _, _, size, low, high, ..] = body[..] else { return Err("it is too short") };
        let middle = 6 + usize::from(size);
        let start = middle + usize::from(u16::from_le_bytes([low, high]));
        if start > body.len() {
            return Err("its metadata has no end");
        }
        // Copies, so that a long-lived context does not hold the whole frame.
        let request = String::from_utf8_lossy(&body[6..middle]).into();
        let metadata = Bytes::copy_from_slice(&body[middle..start]);
        Ok(Self {
            replied: flags & 1 != 0,
            request,
            metadata,
            payload: body.slice(start..),
            more: flags & 2 != 0,
            streams: flags & 4 != 0,
        })
    }
}

/// Parses the body of a CREDIT: messages and bytes.
pub(crate) fn parse_credit(body: &[u8]) -> Result<(u32, u64), ProtocolError> {
    let [a, b, c, d, bytes @ ..] = body else { return Err(no_credit(body)) };
    let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| no_credit(body))?;
    Ok((u32::from_le_bytes([*a, *b, *c, *d]), u64::from_le_bytes(bytes)))
}

fn no_credit(body: &[u8]) -> ProtocolError {
    ProtocolError(format!("a CREDIT has {} bytes, not 12", body.len()))
}

/// The current time, in nanoseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Cuts a text that is too long, and adds a note.
pub(crate) fn fit(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let note = format!(" … (cut: there were {} bytes)", text.len());
    format!("{}{note}", &text[..text.floor_char_boundary_at(room.saturating_sub(note.len()))])
}

/// The last character boundary at or before an index.
trait Boundary {
    fn floor_char_boundary_at(&self, index: usize) -> usize;
}

impl Boundary for str {
    fn floor_char_boundary_at(&self, index: usize) -> usize {
        (0..=index).rev().find(|index| self.is_char_boundary(*index)).unwrap_or(0)
    }
}
