//! Answers that are streams: each message when it comes, then the status.
//!
//! The body takes a message from the flow when the connection has room for it. A client that reads slowly therefore
//! holds the handler back.

use super::{
    body::{Body, Frames},
    connect::{self, Encoding},
    envelope, grpc, status,
};
use crate::{
    flow::{AnswerMessage, AnswerStream, Permit},
    memory::Reservation,
    traces,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body::Frame;
use http_body_util::StreamBody;
use krt_model::{message::Payload, outcome::Failure};
use prost_reflect::MessageDescriptor;
use std::sync::Arc;
use tonic::Status;

/// The flag of the last message in a stream of the Connect protocol, which has the status.
const END_STREAM: u8 = 1 << 1;

/// How a protocol carries a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamForm {
    /// gRPC: the status is in the trailers.
    Grpc,
    /// The Connect protocol: the status is a message of its own.
    Connect(Encoding),
    /// Server-Sent Events with JSON, for browsers: the status is an event of its own.
    Events,
}

/// The answer to a call within this process, message by message, as JSON. Dropped before the end, it says that the
/// client left, and stops the work.
#[derive(Debug)]
pub struct CallStream {
    request: Arc<str>,
    /// `None` after the end.
    stream: Option<Stream>,
}

/// An answer on its way to its client.
#[derive(Debug)]
pub(super) struct Stream {
    form: StreamForm,
    output: MessageDescriptor,
    answer: AnswerStream,
    permit: Arc<Permit>,
    traced: traces::Call,
    /// What comes next.
    first: Option<AnswerMessage>,
}

impl Stream {
    /// Waits for the first message, or for the end without any. A failure before the first message is the response's
    /// own status.
    pub(super) async fn start(
        form: StreamForm,
        output: MessageDescriptor,
        mut answer: AnswerStream,
        permit: Arc<Permit>,
        traced: traces::Call,
    ) -> Result<Response<Body>, Status> {
        match answer.next().await {
            Ok(Some(first)) => {
                let stream = Self { form, output, answer, permit, traced, first: Some(first) };
                Ok(form.response(stream.into_body()))
            }
            Ok(None) => {
                traced.end(None);
                Ok(form.response(Body::Whole(form.end(None))))
            }
            Err(failure) => {
                let status = status::of_failure(&failure);
                traced.end(Some(status::fault(&status)));
                Err(status)
            }
        }
    }

    fn into_body(self) -> Body {
        let frames =
            futures::stream::unfold((Frames::new(), Some(self)), |(mut frames, mut stream)| async move {
                while frames.is_empty() {
                    stream = stream?.add_next(&mut frames).await;
                }
                frames.pop_front().map(|frame| (Ok::<_, Status>(frame), (frames, stream)))
            });
        Body::Stream(tonic::body::Body::new(StreamBody::new(Box::pin(frames))))
    }

    /// Adds the next message to a body, or the end; returns nothing after the end.
    async fn add_next(mut self, frames: &mut Frames) -> Option<Self> {
        match self.next().await {
            Ok(Some(message)) => {
                self.form.frame(&message, frames);
                Some(self)
            }
            Ok(None) => {
                self.end(None, frames);
                None
            }
            Err(status) => {
                self.end(Some(&status), frames);
                None
            }
        }
    }

    /// Returns the next message, encoded.
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => self.answer.next().await.map_err(|failure: Failure| status::of_failure(&failure))?,
        };
        let Some(AnswerMessage { payload, credit: _credit }) = next else { return Ok(None) };
        self.form.encode(&self.output, &payload, self.permit.reserve()).await.map(Some)
    }

    fn end(self, status: Option<&Status>, frames: &mut Frames) {
        frames.extend(self.form.end(status));
        self.traced.end(status.map(status::fault));
    }
}

impl CallStream {
    pub(super) fn new(
        request: Arc<str>,
        output: MessageDescriptor,
        answer: AnswerStream,
        permit: Arc<Permit>,
        traced: traces::Call,
    ) -> Self {
        let form = StreamForm::Events;
        Self { request, stream: Some(Stream { form, output, answer, permit, traced, first: None }) }
    }

    /// The request's id.
    pub fn request(&self) -> &Arc<str> {
        &self.request
    }

    /// Waits for the next message; `None` after the last one, and after an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let next = stream.next().await;
        if !matches!(next, Ok(Some(_)))
            && let Some(ended) = self.stream.take()
        {
            ended.traced.end(next.as_ref().err().map(status::fault));
        }
        next.map_err(|status| status::bounded(&status))
    }
}

impl StreamForm {
    async fn encode(
        self,
        output: &MessageDescriptor,
        message: &Payload,
        reservation: Reservation,
    ) -> Result<Bytes, Status> {
        match self {
            Self::Grpc => Ok(message.value().clone()),
            Self::Connect(encoding) => encoding.encode(output, message, reservation).await,
            Self::Events => Encoding::Json.encode(output, message, reservation).await,
        }
    }

    /// Adds an encoded message to a body.
    fn frame(self, message: &Bytes, frames: &mut Frames) {
        match self {
            Self::Grpc | Self::Connect(_) => envelope::frame(0, message.clone(), frames),
            Self::Events => frames.push_back(Frame::data(event("", message))),
        }
    }

    /// Returns the end of a body; `status`: the error.
    fn end(self, status: Option<&Status>) -> Frames {
        let mut frames = Frames::new();
        match self {
            Self::Grpc => frames.push_back(Frame::trailers(grpc::trailers(status))),
            Self::Connect(_) => {
                envelope::frame(END_STREAM, connect::end_of_stream(status).into(), &mut frames);
            }
            Self::Events => {
                let status = connect::error_or_ok(status);
                frames.push_back(Frame::data(event("event: status\n", &status)));
            }
        }
        frames
    }

    fn response(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        self.add_headers(response.headers_mut());
        response
    }

    fn add_headers(self, headers: &mut HeaderMap) {
        let kind = match self {
            Self::Grpc => "application/grpc",
            Self::Connect(Encoding::Json) => "application/connect+json",
            Self::Connect(Encoding::Proto) => "application/connect+proto",
            Self::Events => "text/event-stream",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if self == Self::Events {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // nginx gathers a response before it passes it on, unless this says otherwise.
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        }
    }

    /// Returns the response of a call that failed before its first message.
    pub(super) fn refuse(self, status: &Status) -> Response<Body> {
        match self {
            Self::Grpc => grpc::refuse(status),
            // Its streams always begin with 200 (Connect protocol, "Streaming-Response").
            Self::Connect(_) => self.response(Body::Whole(self.end(Some(status)))),
            Self::Events => connect::refuse(status::http(status.code()), status),
        }
    }
}

/// Returns an event (<https://html.spec.whatwg.org/multipage/server-sent-events.html>). JSON has no line breaks here.
fn event(head: &str, data: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(head.len() + data.len() + 8);
    event.put_slice(head.as_bytes());
    event.put_slice(b"data: ");
    event.put_slice(data);
    event.put_slice(b"\n\n");
    event.freeze()
}
