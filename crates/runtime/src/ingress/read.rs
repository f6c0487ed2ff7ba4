//! Reads and decompresses a request's body, within its limit and the memory of requests.

use super::status;
use crate::{
    flow::{Permit, no_memory},
    memory::{Buffer, Full, Refused},
};
use bytes::{Buf as _, Bytes};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::time::Duration;
use tonic::Status;

/// How long to wait for the rest of a body.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The body of a request.
pub(super) trait RequestBody: Body<Data = Bytes> + Send + Unpin {}

impl<B: Body<Data = Bytes> + Send + Unpin> RequestBody for B {}

/// What a client says of its message before the message comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageInfo {
    /// Its size as sent, in bytes, if the client says it.
    pub(super) size: Option<usize>,
    /// Whether the message itself says that it is compressed.
    pub(super) compressed: bool,
}

/// Reads a body in pieces. Of what comes before there is a permit it holds one frame.
pub(super) struct Reader<B = Incoming> {
    body: B,
    /// What has come and was not taken yet.
    rest: Bytes,
}

impl<B: Body<Data = Bytes> + Unpin> Reader<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, rest: Bytes::new() }
    }

    /// Takes `N` bytes off the front; `None` if the body is shorter.
    pub(super) async fn prefix<const N: usize>(&mut self) -> Result<Option<[u8; N]>, Status> {
        let mut prefix = [0; N];
        let mut there = 0;
        while there < N {
            if self.rest.is_empty() && !self.next().await? {
                return Ok(None);
            }
            let count = self.rest.len().min(N - there);
            self.rest.copy_to_slice(&mut prefix[there..there + count]);
            there += count;
        }
        Ok(Some(prefix))
    }

    /// Takes up to `size` bytes. Bytes within one frame are not copied.
    pub(super) async fn take(&mut self, size: usize, permit: &Permit) -> Result<Bytes, Status> {
        if self.rest.is_empty() {
            self.next().await?;
        }
        if self.rest.len() >= size {
            return hold(self.rest.split_to(size), permit);
        }
        let mut buffer = Buffer::new(permit.reserve(), size);
        loop {
            let count = self.rest.len().min(size - buffer.len());
            buffer.extend(&self.rest.split_to(count), size).map_err(|refused| refuse(refused, size))?;
            if buffer.len() == size || !self.next().await? {
                return Ok(buffer.freeze());
            }
        }
    }

    /// Takes all bytes, at most `limit`; `expected` is the length that the client declared.
    pub(super) async fn take_all(
        &mut self,
        limit: usize,
        expected: usize,
        permit: &Permit,
    ) -> Result<Bytes, Status> {
        self.next().await?;
        if self.body.is_end_stream() && self.rest.len() <= limit {
            return hold(std::mem::take(&mut self.rest), permit);
        }
        let mut buffer = Buffer::new(permit.reserve(), limit);
        loop {
            let more = std::mem::take(&mut self.rest);
            buffer.extend(&more, expected).map_err(|refused| refuse(refused, buffer.len() + more.len()))?;
            if !self.next().await? {
                return Ok(buffer.freeze());
            }
        }
    }

    /// Reads and discards the rest of a refused body: an HTTP/1 client that is cut off while sending may not
    /// see the reason.
    pub(super) async fn drain(&mut self, limit: usize) {
        let mut left = 2 * limit;
        let rest = async {
            while let Ok(true) = self.next().await {
                left = left.saturating_sub(std::mem::take(&mut self.rest).len());
                if left == 0 {
                    return;
                }
            }
        };
        // Anything later is cut off.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, rest).await;
    }

    /// Returns whether the body has ended.
    pub(super) async fn is_at_end(&mut self) -> Result<bool, Status> {
        Ok(self.rest.is_empty() && !self.next().await?)
    }

    /// Waits for the next frame, once the previous one is taken. Returns false at the end.
    async fn next(&mut self) -> Result<bool, Status> {
        self.rest = Bytes::new();
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|_| Status::cancelled("the request's body ended early"))?;
            self.rest = frame.into_data().unwrap_or_default();
            if !self.rest.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Counts received bytes against the permit.
fn hold(bytes: Bytes, permit: &Permit) -> Result<Bytes, Status> {
    let mut reservation = permit.reserve();
    reservation.try_grow(bytes.len()).map_err(full)?;
    Ok(reservation.hold(bytes))
}

fn refuse(refused: Refused, size: usize) -> Status {
    match refused {
        Refused::TooLarge { limit } => too_large(size, limit),
        Refused::Full(refused) => full(refused),
    }
}

/// Returns the status for a lack of memory.
pub(super) fn full(full: Full) -> Status {
    status::of_failure(&no_memory(full))
}

/// Returns the status for a message that is too large.
pub(super) fn too_large(size: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!("the request's message has {size} bytes, the limit is {limit}"))
}
