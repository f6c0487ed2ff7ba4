//! Cuts what comes from the engine into frames.

use crate::frame::{Breach, COUNTED, Frame, FromEngine, HEADER};
use bytes::BytesMut;
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

/// How much is read at a time, but for the rest of a large frame.
const ROOM: usize = 64 << 10;

/// Reads frames.
pub(crate) struct Reader {
    /// What reads a pipe reads a socket as well. Unlike a socket's own half, it is not woken each time
    /// the engine reads.
    stream: pipe::Receiver,
    buffer: BytesMut,
    limit: usize,
}

impl Reader {
    pub(crate) fn new(stream: pipe::Receiver) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(ROOM), limit: u32::MAX as usize }
    }

    /// From now on a larger frame is a breach.
    pub(crate) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Reads once; whether anything came. Nothing comes any more once the engine is gone. Dropped in
    /// between, it has lost nothing.
    pub(crate) async fn fill(&mut self) -> bool {
        let wanted = self.size().map_or(HEADER, |size| size + 4);
        let missing = wanted.saturating_sub(self.buffer.len());
        self.buffer.reserve(missing.max(ROOM / 8));
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..))
    }

    /// The next frame that is whole, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Breach> {
        let (Some(size), Some(kind)) = (self.size(), self.buffer.get(4)) else { return Ok(None) };
        if size < COUNTED {
            return Err(Breach(format!("a frame says that its size is {size}, less than {COUNTED}")));
        }
        if size > self.limit {
            return Err(Breach(format!("a frame has {size} bytes, more than the limit of {}", self.limit)));
        }
        let Some(kind) = FromEngine::of(*kind) else {
            return Err(Breach(format!("no frame of the engine's has the kind {kind}")));
        };
        if self.buffer.len() < size + 4 {
            return Ok(None);
        }
        let mut whole = self.buffer.split_to(size + 4).freeze();
        let body = whole.split_off(HEADER);
        let id = u32::from_le_bytes([whole[5], whole[6], whole[7], whole[8]]);
        Ok(Some(Frame { kind, id, body }))
    }

    /// What the frame that has begun says of its size.
    fn size(&self) -> Option<usize> {
        let size: [u8; 4] = *self.buffer.first_chunk()?;
        usize::try_from(u32::from_le_bytes(size)).ok()
    }
}
