//! Reads the frames of a worker, and reserves memory for large ones before reading them.

use super::frame::{self, Head, ProtocolError, WorkerFrame};
use crate::memory::{Full, Pool, Reservation};
use bytes::{Buf as _, Bytes, BytesMut};
use krt_model::version::PayloadForm;
use std::sync::Arc;

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;
/// Smaller frames are copied, as their bytes would keep the whole read buffer alive. They pass even without
/// room, since they are already in memory.
const COPIED_FRAME: usize = 8 << 10;

/// Takes frames off a buffer.
#[derive(Debug)]
pub(super) struct Frames {
    /// The largest `size` of a frame, in bytes.
    limit: usize,
    form: PayloadForm,
    /// The reservation for the frame being read.
    reading: Reservation,
    /// Bytes missing from a large frame.
    missing: usize,
    /// Bytes still to skip of a message for which there is no room.
    skip: usize,
}

impl Frames {
    /// Creates a reader. `limit` is the largest `size`, in bytes; `form` is the form of the handlers'
    /// results.
    pub(super) fn new(limit: usize, form: PayloadForm, memory: &Arc<Pool>) -> Self {
        Self { limit, form, reading: memory.reserve(), missing: 0, skip: 0 }
    }

    /// Makes room in the buffer for the next read; for a large frame, no more than its reservation.
    pub(super) fn make_room(&self, buffer: &mut BytesMut) {
        buffer.reserve(if self.missing > 0 { self.missing } else { READ_BYTES });
    }

    /// Takes the next frame off the buffer, if it is complete.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<WorkerFrame>, ProtocolError> {
        self.missing = 0;
        self.skip(buffer);
        let Some(head) = frame::head(buffer, self.limit)? else { return Ok(None) };
        if head.carries_message() && self.reading.size() == 0 {
            match self.reading.try_grow(head.whole) {
                Ok(()) => {}
                Err(_) if head.whole < COPIED_FRAME => {}
                Err(full) => return self.refuse(&head, full, buffer),
            }
        }
        let missing = head.whole.saturating_sub(buffer.len());
        if missing > 0 {
            self.missing = if head.whole > READ_BYTES { missing } else { 0 };
            return Ok(None);
        }
        let body = self.reading.take().hold(body(&head, buffer));
        frame::parse(&head, body, self.form).map(Some)
    }

    /// Reports a message without room as soon as the fields before it are read, and skips its bytes.
    fn refuse(
        &mut self,
        head: &Head,
        full: Full,
        buffer: &mut BytesMut,
    ) -> Result<Option<WorkerFrame>, ProtocolError> {
        let read = frame::HEADER + head.before_message();
        if buffer.len() < read {
            return Ok(None);
        }
        let mut body = buffer.split_to(read).freeze();
        body.advance(frame::HEADER);
        self.skip = head.whole - read;
        self.skip(buffer);
        frame::parse_without_message(head, body, full).map(Some)
    }

    fn skip(&mut self, buffer: &mut BytesMut) {
        let count = self.skip.min(buffer.len());
        buffer.advance(count);
        self.skip -= count;
    }
}

fn body(head: &Head, buffer: &mut BytesMut) -> Bytes {
    if head.whole < COPIED_FRAME {
        let body = Bytes::copy_from_slice(&buffer[frame::HEADER..head.whole]);
        buffer.advance(head.whole);
        return body;
    }
    let mut body = buffer.split_to(head.whole).freeze();
    body.advance(frame::HEADER);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::frame::{Message, Status};
    use krt_model::message::Payload;

    /// Builds a RESULT whose message has so many bytes.
    fn result(id: u32, size: usize) -> Vec<u8> {
        let message = Payload::pack("type.googleapis.com/a.B", &vec![7; size]);
        let body = [&[0, 0][..], &[0; 16], message.encoded()].concat();
        let counted = u32::try_from(body.len() + frame::COUNTED).unwrap();
        [&counted.to_le_bytes()[..], &[66], &id.to_le_bytes(), &body].concat()
    }

    /// A delivery's id, and its message or why it was not read.
    type Received = (u32, Result<Payload, Full>);

    /// Reads frames like a link, in pieces of so many bytes. Returns the results, and the most memory held.
    fn read(bytes: &[u8], piece: usize, memory: &Arc<Pool>) -> (Vec<Received>, usize) {
        let mut frames = Frames::new(1 << 30, PayloadForm::Protobuf, memory);
        let (mut buffer, mut results, mut most) = (BytesMut::new(), Vec::new(), 0);
        let mut rest = bytes;
        while !rest.is_empty() {
            frames.make_room(&mut buffer);
            let room = buffer.capacity() - buffer.len();
            most = most.max(buffer.capacity());
            let count = rest.len().min(piece).min(room);
            buffer.extend_from_slice(rest.split_off(..count).unwrap());
            while let Some(frame) = frames.take(&mut buffer).unwrap() {
                let WorkerFrame::Result { id, status: Status::Message(message), .. } = frame else {
                    panic!("{frame:?}")
                };
                results.push((
                    id,
                    match message {
                        Message::Protobuf(payload) => Ok(payload),
                        Message::NoRoom(full) => Err(full),
                        Message::Json(text) => panic!("{text:?}"),
                    },
                ));
            }
        }
        assert!(buffer.is_empty());
        (results, most)
    }

    #[test]
    fn messages_count_while_they_exist() {
        for piece in [1 << 10, 1 << 14, 1 << 20] {
            let memory = Pool::new(10 << 20);
            let bytes = [result(1, 10), result(2, 3 << 20), result(3, 20 << 10)].concat();
            let (results, _) = read(&bytes, piece, &memory);
            let sizes: Vec<_> =
                results.iter().map(|(id, result)| (*id, result.as_ref().unwrap().value().len())).collect();
            assert_eq!(sizes, [(1, 10), (2, 3 << 20), (3, 20 << 10)]);
            let held = sizes.iter().map(|(_, size)| size).sum();
            assert!((held..held + 1024).contains(&memory.used()), "{}", memory.used());
            drop(results);
            assert_eq!(memory.used(), 0);
        }
    }

    #[test]
    fn messages_without_room_are_not_read() {
        for piece in [1, 100, 1 << 14, 1 << 20] {
            let memory = Pool::new(1 << 20);
            let bytes = [result(1, 2 << 20), result(2, 5), result(3, 1 << 20), result(4, 100 << 10)].concat();
            let (results, most) = read(&bytes, piece, &memory);
            let received: Vec<_> = results
                .iter()
                .map(|(id, result)| (*id, result.as_ref().map(|payload| payload.value().len()).ok()))
                .collect();
            assert_eq!(received, [(1, None), (2, Some(5)), (3, None), (4, Some(100 << 10))]);
            assert!(most <= 512 << 10, "{most}");
        }
    }
}
