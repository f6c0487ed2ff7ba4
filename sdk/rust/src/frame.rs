//! The node protocol's frames: numbers and layouts. `protocol/README.md` says what each means.

use bytes::Bytes;
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of the node protocol that is spoken here.
pub(crate) const PROTOCOL: u64 = 1;

/// The largest `size` of a LOG: longer records are cut.
pub(crate) const MAX_LOG: usize = 256 << 10;

/// The largest `size` of a FIND or a MEASUREMENT.
pub(crate) const MAX_OTHER: usize = 1 << 20;

/// The largest `size` of a SAVE.
pub(crate) const MAX_SAVE: usize = 64 << 20;

/// How many bytes stand before a frame's body: size, kind, id.
pub(crate) const HEADER: usize = 9;

/// What `size` counts of a frame before its body.
pub(crate) const COUNTED: usize = 5;

/// How many bytes a RESULT has before its last part.
pub(crate) const RESULT_HEAD: usize = HEADER + 18;

/// How many bytes the body of a LOG has before its text.
pub(crate) const LOG_HEAD: usize = 9;

/// What a frame of the engine's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FromEngine {
    Hello,
    Deliver,
    Cancel,
    Done,
    Document,
    Failed,
    Stop,
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
            _ => return None,
        })
    }
}

/// What a frame of the host's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FromHost {
    Ready = 64,
    Broken,
    Result,
    EarlyReply,
    Log,
    Measurement,
    Save,
    Find,
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

/// Something that the protocol does not allow.
#[derive(Debug, thiserror::Error)]
#[error("the engine broke the node protocol: {0}")]
pub(crate) struct Breach(pub(crate) String);

/// One frame of the engine's.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: FromEngine,
    pub(crate) id: u32,
    pub(crate) body: Bytes,
}

/// A frame whose body is made of these parts.
pub(crate) fn frame(kind: FromHost, id: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + parts.iter().map(|part| part.len()).sum::<usize>());
    out.resize(HEADER, 0);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    close(&mut out, kind, id);
    out
}

/// Writes the header of the frame that a buffer holds, for which its first bytes were left.
pub(crate) fn close(out: &mut [u8], kind: FromHost, id: u32) {
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

/// Writes the head of the RESULT that a buffer holds, for which its first bytes were left.
pub(crate) fn close_result(out: &mut [u8], id: u32, status: Status, early_exit: bool, span: Span) {
    out[HEADER..HEADER + 2].copy_from_slice(&[status as u8, u8::from(early_exit)]);
    out[HEADER + 2..HEADER + 10].copy_from_slice(&span.start.to_le_bytes());
    out[HEADER + 10..RESULT_HEAD].copy_from_slice(&span.end.max(span.start).to_le_bytes());
    close(out, FromHost::Result, id);
}

/// What a DELIVER says beside its message.
pub(crate) struct Deliver {
    pub(crate) replied: bool,
    pub(crate) metadata: Bytes,
    pub(crate) payload: Bytes,
}

impl Deliver {
    /// Takes the body of a DELIVER apart. Its workflow and request id are passed over.
    pub(crate) fn parse(body: &Bytes) -> Result<Self, &'static str> {
        let [flags, _, _, request, low, high, ..] = body[..] else { return Err("it is too short") };
        let middle = 6 + usize::from(request);
        let start = middle + usize::from(u16::from_le_bytes([low, high]));
        if start > body.len() {
            return Err("its metadata has no end");
        }
        // Copied, so that it does not hold the whole frame for as long as a context lives.
        let metadata = Bytes::copy_from_slice(&body[middle..start]);
        Ok(Self { replied: flags & 1 != 0, metadata, payload: body.slice(start..) })
    }
}

/// The time, in nanoseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Cuts a text that is too long, and says so in it.
pub(crate) fn fit(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let note = format!(" … (cut: there were {} bytes)", text.len());
    format!("{}{note}", &text[..text.floor_char_boundary_at(room.saturating_sub(note.len()))])
}

/// The largest boundary of a character that is not above an index.
trait Boundary {
    fn floor_char_boundary_at(&self, index: usize) -> usize;
}

impl Boundary for str {
    fn floor_char_boundary_at(&self, index: usize) -> usize {
        (0..=index).rev().find(|index| self.is_char_boundary(*index)).unwrap_or(0)
    }
}
