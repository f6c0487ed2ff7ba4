//! Answers until they are sent.
//!
//! The resources of an answer, such as its place in admission, are free when the system has its last byte, or
//! the connection has gone. Sending also shows whether the client reads.

use super::activity::Exchange;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    any::Any,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Bytes of an answer handed to the connection at a time. A client that reads this much within the time limit
/// counts as reading.
const CHUNK: usize = 16 << 10;

/// Resources that an answer holds until it is sent: an extension of the response.
#[derive(Debug, Clone)]
pub struct ResponseGuard {
    _held: Arc<dyn Any + Send + Sync>,
}

impl ResponseGuard {
    /// Holds a value until the answer is sent.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Arc::new(held) }
    }
}

/// Keeps an exchange open after its answer is sent, while the rest of the request is read.
#[derive(Debug, Clone)]
pub struct ExchangeGuard {
    _exchange: Arc<Exchange>,
}

impl ExchangeGuard {
    pub(super) fn new(exchange: &Arc<Exchange>) -> Self {
        Self { _exchange: Arc::clone(exchange) }
    }
}

/// The body of an answer, in pieces that know when they are sent.
#[derive(Debug)]
pub(super) struct SentBody<B> {
    body: B,
    rest: Bytes,
    holds: BodyGuards,
}

/// Resources kept until the last piece is sent.
#[derive(Debug, Clone)]
struct BodyGuards {
    exchange: Arc<Exchange>,
    _held: Option<ResponseGuard>,
}

/// A piece of an answer.
#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    holds: BodyGuards,
}

impl Piece {
    fn of(bytes: Bytes, holds: &BodyGuards) -> Bytes {
        holds.exchange.piece_queued();
        Bytes::from_owner(Self { bytes, holds: holds.clone() })
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.holds.exchange.sent();
    }
}

impl<B> SentBody<B> {
    pub(super) fn new(body: B, exchange: Arc<Exchange>, held: Option<ResponseGuard>) -> Self {
        Self { body, rest: Bytes::new(), holds: BodyGuards { exchange, _held: held } }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(CHUNK));
        Frame::data(Piece::of(piece, &self.holds))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for SentBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            ended => return Poll::Ready(ended),
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(data) if !data.is_empty() => {
                self.rest = data;
                self.piece()
            }
            Ok(empty) => Frame::data(empty),
            Err(other) => other,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::activity::{Activity, Limits},
        *,
    };
    use http_body_util::{BodyExt as _, Full};

    #[tokio::test]
    async fn memory_is_released_after_the_last_piece() {
        let content: Vec<u8> = (0..CHUNK * 2 + 100).map(|index| (index % 251) as u8).collect();
        let held = Arc::new(());
        let mut body = SentBody::new(
            Full::new(Bytes::from(content.clone())),
            Activity::new(&Arc::default()).start_exchange(&Limits::default(), 0).unwrap(),
            Some(ResponseGuard::new(Arc::clone(&held))),
        );
        assert_eq!(body.size_hint().exact(), Some(content.len() as u64));
        let (mut pieces, mut left) = (Vec::new(), content.len());
        while !body.is_end_stream() {
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            left -= piece.len();
            assert!(piece.len() <= CHUNK && body.size_hint().exact() == Some(left as u64));
            pieces.push(piece);
        }
        drop(body);
        assert_eq!(pieces.concat(), content);
        let last = pieces.pop();
        drop(pieces);
        assert_eq!(Arc::strong_count(&held), 2);
        drop(last);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
