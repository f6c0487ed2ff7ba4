//! Frames not yet written to a worker.

use super::frame::{self, COUNTED, HEADER, Hello};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use std::collections::VecDeque;

/// Size from which a message is written from its own buffer, in bytes. Smaller ones are gathered, so that one
/// call writes several.
const LARGE: usize = 16 << 10;
/// An empty buffer larger than this is freed, in bytes.
const MAX_KEPT: usize = 256 << 10;

/// Encoded frames to a worker.
///
/// A large message is not copied. Its bytes count for its request until they are written, even if the request
/// has ended.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Written first.
    pieces: VecDeque<Bytes>,
    /// Written after `pieces`.
    gathered: BytesMut,
    len: usize,
}

impl Outbox {
    /// Returns the number of bytes left to send.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the bytes to send next; empty if none.
    pub(super) fn pending(&self) -> &[u8] {
        self.pieces.front().map_or(&self.gathered, |piece| piece)
    }

    /// Removes the first `count` bytes of [`Outbox::pending`], which were sent.
    pub(super) fn sent(&mut self, count: usize) {
        self.len -= count;
        let Some(piece) = self.pieces.front_mut() else {
            self.gathered.advance(count);
            if self.gathered.is_empty() && self.gathered.capacity() > MAX_KEPT {
                self.gathered = BytesMut::new();
            }
            return;
        };
        piece.advance(count);
        if piece.is_empty() {
            self.pieces.pop_front();
        }
    }

    /// Appends HELLO.
    pub(super) fn hello(&mut self, hello: &Hello) {
        let body = serde_json::to_vec(hello).expect("a struct of texts and numbers is JSON");
        self.frame(frame::kind::HELLO, 0, &[&body], &Bytes::new());
    }

    /// Appends DELIVER. `flags` are those of [`frame::flag`]; `metadata` is JSON, or empty; `message` is an encoded `google.protobuf.Any`, or JSON.
    pub(super) fn deliver(
        &mut self,
        id: u32,
        flags: u8,
        workflow: u16,
        request: &str,
        metadata: &[u8],
        message: &Bytes,
    ) {
        let metadata_size = u16::try_from(metadata.len()).unwrap_or(0);
        let metadata = &metadata[..usize::from(metadata_size)];
        // Another runner may have made a long one.
        let request = &request[..request.floor_char_boundary(usize::from(u8::MAX))];
        let mut head = [0; 6];
        let mut fields = &mut head[..];
        fields.put_u8(flags);
        fields.put_u16_le(workflow);
        fields.put_u8(u8::try_from(request.len()).unwrap_or(u8::MAX));
        fields.put_u16_le(metadata_size);
        self.frame(frame::kind::DELIVER, id, &[&head, request.as_bytes(), metadata], message);
    }

    /// Appends CANCEL.
    pub(super) fn cancel(&mut self, id: u32) {
        self.frame(frame::kind::CANCEL, id, &[], &Bytes::new());
    }

    /// Appends DONE.
    pub(super) fn done(&mut self, call: u32) {
        self.frame(frame::kind::DONE, call, &[], &Bytes::new());
    }

    /// Appends DOCUMENT.
    pub(super) fn document(&mut self, call: u32, document: &str) {
        self.frame(frame::kind::DOCUMENT, call, &[document.as_bytes()], &Bytes::new());
    }

    /// Appends FAILED.
    pub(super) fn failed(&mut self, call: u32, why: &str) {
        self.frame(frame::kind::FAILED, call, &[why.as_bytes()], &Bytes::new());
    }

    /// Appends CREDIT: the client has taken so many messages and bytes.
    pub(super) fn credit(&mut self, id: u32, messages: u32, bytes: usize) {
        let body = [&messages.to_le_bytes()[..], &(bytes as u64).to_le_bytes()].concat();
        self.frame(frame::kind::CREDIT, id, &[&body], &Bytes::new());
    }

    /// Appends STOP.
    pub(super) fn stop(&mut self) {
        self.frame(frame::kind::STOP, 0, &[], &Bytes::new());
    }

    fn frame(&mut self, kind: u8, id: u32, parts: &[&[u8]], message: &Bytes) {
        let head: usize = parts.iter().map(|part| part.len()).sum();
        let body = head + message.len();
        let size = u32::try_from(body + COUNTED).expect("messages and documents are far below 4 GiB");
        let is_large = message.len() >= LARGE;
        self.gathered.reserve(HEADER + if is_large { head } else { body });
        self.gathered.put_u32_le(size);
        self.gathered.put_u8(kind);
        self.gathered.put_u32_le(id);
        for part in parts {
            self.gathered.put_slice(part);
        }
        if is_large {
            self.pieces.push_back(self.gathered.split().freeze());
            self.pieces.push_back(message.clone());
        } else {
            self.gathered.put_slice(message);
        }
        self.len += HEADER + body;
    }
}
