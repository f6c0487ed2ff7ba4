//! Bodies of responses.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Frame, SizeHint};
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};
use tonic::Status;

/// A message up to this size shares a buffer with its prefix, bytes.
const SMALL: usize = 16 << 10;

/// The body of a response.
#[derive(Debug)]
pub(super) enum Body {
    /// What is known in full: data, then trailers.
    Whole(VecDeque<Frame<Bytes>>),
    /// Of a service that is generated: health, reflection.
    Tonic(tonic::body::Body),
}

impl Body {
    /// Bytes without trailers.
    pub(super) fn data(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(VecDeque::from([Frame::data(bytes.into())]))
    }

    /// One gRPC message and the trailers of success (gRPC over HTTP/2, "Responses").
    pub(super) fn grpc(message: &Bytes) -> Self {
        let length = u32::try_from(message.len()).expect("answers are held to a limit far below 4 GiB");
        let small = message.len() <= SMALL;
        let mut head = BytesMut::with_capacity(5 + if small { message.len() } else { 0 });
        head.put_u8(0);
        head.put_u32(length);
        let mut frames = VecDeque::with_capacity(3);
        if small {
            head.put_slice(message);
            frames.push_back(Frame::data(head.freeze()));
        } else {
            frames.extend([Frame::data(head.freeze()), Frame::data(message.clone())]);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        frames.push_back(Frame::trailers(trailers));
        Self::Whole(frames)
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(VecDeque::new())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut *self {
            Self::Whole(frames) => Poll::Ready(frames.pop_front().map(Ok)),
            Self::Tonic(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(frames) => frames.is_empty(),
            Self::Tonic(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(frames) => SizeHint::with_exact(
                frames.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum(),
            ),
            Self::Tonic(body) => body.size_hint(),
        }
    }
}
