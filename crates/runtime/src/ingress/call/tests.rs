//! Properties of every codec.

use super::*;
use crate::{
    flow::{Admission, Limits},
    ingress::{connect::Connect, grpc::Grpc},
};
use http_body::Frame;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tonic::Code;

/// A body that gives these frames, and fails the test when more is read.
struct Frames(Vec<&'static [u8]>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        assert!(!self.0.is_empty(), "more is read");
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.0.remove(0))))))
    }
}

async fn refused(codec: &impl Codec, frames: Vec<&'static [u8]>, admission: &Arc<Admission>) -> Status {
    let mut reader = Reader::new(Frames(frames));
    let headers = HeaderMap::new();
    let received = receive(codec, &mut reader, &headers, 1 << 10, |size| admission.enter(size)).await;
    received.map(|(_, message)| message).unwrap_err()
}

#[tokio::test]
async fn messages_are_not_read_without_a_slot() {
    let full = Arc::new(Admission::new(Limits { requests: 0, bytes: 1 << 20 }));
    full.open();
    let unreadable = Connect::parse("encoding=json&base64=1&message=*").unwrap();
    for status in [
        refused(&Grpc, vec![&[0, 0, 0, 0, 9]], &full).await,
        refused(&Connect::JSON, vec![], &full).await,
        refused(&unreadable, vec![], &full).await,
    ] {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(status.message().contains("requests"), "{status}");
    }
    assert_eq!((full.in_flight(), full.memory().used()), (0, 0));
}
