//! Splits the engine's stream into frames.

use crate::frame::{COUNTED, Frame, FromEngine, HEADER, ProtocolError};
use bytes::BytesMut;
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

/// The most bytes of one read, except for the rest of a large frame.
const READ_BYTES: usize = 64 << 10;

/// Reads frames.
pub(crate) struct Reader {
    /// A pipe's reader also works on a socket. Unlike a socket's own half, it does not wake each time the
    /// engine reads.
    stream: pipe::Receiver,
    buffer: BytesMut,
    limit: usize,
}

impl Reader {
    pub(crate) fn new(stream: pipe::Receiver) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(READ_BYTES), limit: u32::MAX as usize }
    }

    /// Treats larger frames as violations from now on.
    pub(crate) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Reads once; returns whether any bytes arrived. None arrive once the engine is gone. Cancel safe:
    /// dropping it loses nothing.
    pub(crate) async fn fill(&mut self) -> bool {
        let wanted = self.size().map_or(HEADER, |size| size + 4);
        let missing = wanted.saturating_sub(self.buffer.len());
        self.buffer.reserve(missing.max(READ_BYTES / 8));
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..))
    }

    /// The next complete frame, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, ProtocolError> {
        let (Some(size), Some(kind)) = (self.size(), self.buffer.get(4)) else { return Ok(None) };
        if size < COUNTED {
            return Err(ProtocolError(format!("a frame says that its size is {size}, less than {COUNTED}")));
        }
        if size > self.limit {
            return Err(ProtocolError(format!(
                "a frame has {size} bytes, more than the limit of {}",
                self.limit
            )));
        }
        let Some(kind) = FromEngine::of(*kind) else {
            return Err(ProtocolError(format!("no frame of the engine's has the kind {kind}")));
        };
        if self.buffer.len() < size + 4 {
            return Ok(None);
        }
        let mut whole = self.buffer.split_to(size + 4).freeze();
        let body = whole.split_off(HEADER);
        let id = u32::from_le_bytes([whole[5], whole[6], whole[7], whole[8]]);
        Ok(Some(Frame { kind, id, body }))
    }

    /// The size of the frame that has begun.
    fn size(&self) -> Option<usize> {
        let size: [u8; 4] = *self.buffer.first_chunk()?;
        usize::try_from(u32::from_le_bytes(size)).ok()
    }
}
