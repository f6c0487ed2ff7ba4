//! A request's body: read within its limits, and decompressed within them, too.

use bytes::{Buf, Bytes, BytesMut};
use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::io::Read as _;
use tonic::Status;

/// Reads a body in pieces, and never holds more of it than was asked for and one frame.
pub(super) struct Reader {
    body: Incoming,
    buffer: BytesMut,
    first: Option<Bytes>,
}

impl Reader {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), first: None }
    }

    /// Reads until `count` bytes are there, or the body has ended. Returns how many there are.
    pub(super) async fn fill(&mut self, count: usize) -> Result<usize, Status> {
        while self.len() < count {
            let Some(frame) = self.body.frame().await else { break };
            let frame = frame.map_err(|_| Status::cancelled("the request's body broke off"))?;
            if let Ok(data) = frame.into_data() {
                self.push(data, count);
            }
        }
        Ok(self.len())
    }

    /// Takes `count` bytes, which must be there, off the front.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        match &mut self.first {
            Some(first) => first.split_to(count),
            None => self.buffer.split_to(count).freeze(),
        }
    }

    /// Takes all bytes that are there.
    pub(super) fn take_all(&mut self) -> Bytes {
        let count = self.len();
        self.take(count)
    }

    fn len(&self) -> usize {
        self.first.as_ref().map_or(self.buffer.len(), Bytes::len)
    }

    /// The first frame is kept as it is: most requests have no other.
    fn push(&mut self, data: Bytes, expected: usize) {
        if self.len() == 0 {
            self.first = Some(data);
            return;
        }
        if let Some(first) = self.first.take() {
            self.buffer.reserve(expected.max(first.len() + data.len()));
            self.buffer.extend_from_slice(first.chunk());
        }
        self.buffer.extend_from_slice(&data);
    }
}

/// What a message is called when it is too large.
pub(super) fn too_large(size: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!("the request's message has {size} bytes, the limit is {limit}"))
}

/// Decompresses gzip, up to `limit` bytes.
pub(super) fn gunzip(compressed: &[u8], limit: usize) -> Result<Bytes, Status> {
    let mut message = Vec::new();
    let mut decoder = GzDecoder::new(compressed).take(limit as u64 + 1);
    decoder
        .read_to_end(&mut message)
        .map_err(|error| Status::invalid_argument(format!("the request is not gzip as it says: {error}")))?;
    if message.len() > limit {
        return Err(Status::resource_exhausted(format!(
            "the request's message has more than the limit of {limit} bytes when it is decompressed"
        )));
    }
    Ok(message.into())
}
