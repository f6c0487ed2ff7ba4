//! The reader of a worker's frames, for `fuzz/targets/frames.rs`. It exists with `--cfg fuzzing` only.

use super::{
    frame::{ProtocolError, WorkerFrame},
    frames::Frames,
};
use crate::memory::Pool;
use bytes::BytesMut;
use krt_model::version::PayloadForm;
use std::sync::Arc;

/// What was read from a worker.
#[derive(Debug)]
pub struct Conversation {
    /// The frames before the violation or the end.
    pub frames: Vec<WorkerFrame>,
    /// How the worker broke the protocol, if it did.
    pub violation: Option<ProtocolError>,
    /// The bytes that are left, which are no whole frame.
    pub rest: usize,
}

/// Reads what a worker sends as a link does, at most `piece` bytes at a time. `limit` is the largest `size` of a frame.
pub fn read(
    mut bytes: &[u8],
    piece: usize,
    limit: usize,
    form: PayloadForm,
    memory: &Arc<Pool>,
) -> Conversation {
    let mut reader = Frames::new(limit, form, memory);
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    while !bytes.is_empty() {
        reader.make_room(&mut buffer);
        let room = buffer.capacity() - buffer.len();
        let record_size = bytes.split_off(..bytes.len().min(piece).min(room)).expect("it is not longer");
        buffer.extend_from_slice(record_size);
        loop {
            match reader.take(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(violation) => {
                    return Conversation { frames, violation: Some(violation), rest: buffer.len() };
                }
            }
        }
    }
    Conversation { frames, violation: None, rest: buffer.len() }
}
