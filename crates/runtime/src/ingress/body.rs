//! Bodies of responses.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};
use tonic::Status;

/// The frames of a body: data, then trailers.
pub(super) type Frames = VecDeque<Frame<Bytes>>;

/// The body of a response.
#[derive(Debug)]
pub(super) enum Body {
    /// A complete body.
    Whole(Frames),
    /// The body of a streamed answer, or of a generated service: health, reflection.
    Stream(tonic::body::Body),
    /// The same, cut off when its reader's permission ends.
    Until(tonic::body::Body, EndSignal),
}

/// The event that ends a stream from outside.
pub(super) struct EndSignal(pub(super) BoxFuture<'static, ()>);

impl std::fmt::Debug for EndSignal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Until").finish_non_exhaustive()
    }
}

impl Body {
    /// Returns a body of bytes without trailers.
    pub(super) fn data(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Frames::from([Frame::data(bytes.into())]))
    }

    /// Ends a stream when `ended` resolves; a complete body is unaffected.
    pub(super) fn until(self, ended: Option<BoxFuture<'static, ()>>) -> Self {
        match (self, ended) {
            (Self::Stream(body), Some(ended)) => Self::Until(body, EndSignal(ended)),
            (body, _) => body,
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(Frames::new())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Self::Until(_, EndSignal(ended)) = &mut *self
            && ended.as_mut().poll(context).is_ready()
        {
            *self = Self::Whole(Frames::from([Frame::trailers(no_more())]));
        }
        match &mut *self {
            Self::Whole(frames) => Poll::Ready(frames.pop_front().map(Ok)),
            Self::Stream(body) | Self::Until(body, _) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(frames) => frames.is_empty(),
            Self::Stream(body) | Self::Until(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(frames) => SizeHint::with_exact(
                frames.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum(),
            ),
            Self::Stream(body) | Self::Until(body, _) => body.size_hint(),
        }
    }
}

/// Returns the trailers of a stream whose reader's token has ended.
fn no_more() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // Cannot fail: the message is ASCII.
    let _ = Status::unauthenticated("the token has expired or was revoked").add_header(&mut trailers);
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn streams_end_when_the_access_is_revoked() {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let silent =
            http_body_util::StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Status>>());
        let mut body = Body::Stream(tonic::body::Body::new(silent)).until(Some(ended.map(drop).boxed()));
        assert!(futures::poll!(body.frame()).is_pending());
        end.send(()).unwrap();
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "16");
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn known_answers_are_always_complete() {
        let body = crate::ingress::grpc::one(Bytes::from_static(b"answer")).into_body();
        let body = body.until(Some(futures::future::ready(()).boxed()));
        let whole = body.collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(whole.to_bytes().len(), 11);
    }
}
