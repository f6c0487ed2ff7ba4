//! JSON (and protobuf) over HTTP, by the rules of the Connect protocol, and as Server-Sent Events.

mod query;

use super::{
    body::{Body, Frames},
    call::{Call, Codec, Unary},
    coding::{self, Codings},
    deadline, envelope,
    read::{MessageInfo, Reader, RequestBody, full},
    service::{Ingress, Method, unknown},
    status,
    stream::StreamForm,
};
use crate::{
    flow::Permit,
    json,
    memory::{Refused, Reservation},
    offload,
    traces::Protocol,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method as Verb, Response, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use http_body::Frame;
use hyper::body::Incoming;
use krt_model::{hint, message::Payload};
use prost_reflect::MessageDescriptor;
use query::Query;
use serde::Serialize;
use std::{borrow::Cow, time::Duration};
use tonic::{Code, Status};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROTO: HeaderValue = HeaderValue::from_static("application/proto");

/// The encoding of a call's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Proto,
}

/// The place of a request's message.
#[derive(Debug)]
enum MessageSource<'r> {
    /// In the body.
    Body(Codings),
    /// In the URL.
    Query(Query<'r>),
}

/// The messages of the Connect protocol.
#[derive(Debug)]
pub(super) struct Connect<'r> {
    encoding: Encoding,
    sent: MessageSource<'r>,
}

/// The messages of a stream in the Connect protocol: one in the request, any number in the answer.
#[derive(Debug)]
struct ConnectStream(Encoding);

impl Connect<'static> {
    /// The codec of a JSON message that is not compressed.
    pub(super) const JSON: Self = Self { encoding: Encoding::Json, sent: MessageSource::Body(Codings::NONE) };
}

/// Answers a request that is not gRPC. `method` is the method its path names, if it exists.
pub(super) async fn call(
    ingress: &Ingress,
    method: Option<&Method>,
    head: &Parts,
    body: Incoming,
) -> Response<Body> {
    let Some(method) = method else {
        return refuse(StatusCode::NOT_FOUND, &unknown(head.uri.path()));
    };
    let of_stream = stream_encoding(&head.headers).filter(|_| head.method == Verb::POST && method.streams());
    if let Some(encoding) = of_stream {
        let call = Call { ingress, method, codec: ConnectStream(encoding) };
        return call.stream(head, body, StreamForm::Connect(encoding)).await;
    }
    let codec = match head.method {
        Verb::POST => sent_in_body(&head.headers),
        Verb::GET if method.is_safe() => Connect::parse(head.uri.query().unwrap_or_default())
            .map_err(|error| refuse(status::http(error.code()), &error)),
        _ => Err(method_not_allowed(method)),
    };
    match codec {
        Ok(codec) if method.streams() => match check_events(&codec, method, &head.headers) {
            Ok(()) => Call { ingress, method, codec }.stream(head, body, StreamForm::Events).await,
            Err(refused) => codec.refuse(&refused),
        },
        Ok(codec) => Call { ingress, method, codec }.answer(head, body).await,
        Err(refused) => refused,
    }
}

/// Checks that a client can read a stream as Server-Sent Events.
fn check_events(codec: &Connect<'_>, method: &Method, headers: &HeaderMap) -> Result<(), Status> {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let events = accepts.flat_map(|value| value.split(',')).any(|kind| is_kind(kind, "text/event-stream"));
    if events && codec.encoding == Encoding::Json {
        return Ok(());
    }
    Err(status::with_hint(
        Code::InvalidArgument,
        format!("the answer of `{}` is a stream", method.path()),
        "send JSON with the header `accept: text/event-stream`, or `content-type: application/connect+json`",
    ))
}

/// Returns whether a media type, which may have parameters, is this one.
fn is_kind(text: &str, kind: &str) -> bool {
    text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind)
}

impl Codec for Connect<'_> {
    const PROTOCOL: Protocol = Protocol::Connect;

    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Status> {
        check_version(headers)?;
        deadline::of_connect(headers)
    }

    async fn announced<B: RequestBody>(
        &self,
        _: &mut Reader<B>,
        headers: &HeaderMap,
    ) -> Result<MessageInfo, Status> {
        let size = match &self.sent {
            MessageSource::Body(_) => declared_size(headers),
            MessageSource::Query(_) => None,
        };
        Ok(MessageInfo { size, compressed: false })
    }

    async fn read<B: RequestBody>(
        &self,
        reader: &mut Reader<B>,
        announced: MessageInfo,
        limit: usize,
        permit: &Permit,
    ) -> Result<Bytes, Status> {
        match &self.sent {
            MessageSource::Body(_) => reader.take_all(limit, announced.size.unwrap_or(limit), permit).await,
            MessageSource::Query(query) => query.message(limit, permit.reserve()),
        }
    }

    fn codings(&self, _: MessageInfo, _: &HeaderMap) -> Result<Codings, Status> {
        Ok(match &self.sent {
            MessageSource::Body(codings) => *codings,
            MessageSource::Query(query) => query.codings(),
        })
    }

    fn decode(
        &self,
        method: &Method,
        message: Bytes,
        limit: usize,
        permit: &Permit,
    ) -> Result<Bytes, Status> {
        self.encoding.decode(method, message, limit, permit)
    }

    fn refuse(&self, status: &Status) -> Response<Body> {
        refuse(status::http(status.code()), status)
    }
}

impl Unary for Connect<'_> {
    async fn encode(
        &self,
        method: &Method,
        message: Payload,
        reservation: Reservation,
    ) -> Result<Bytes, Status> {
        self.encoding.encode(method.output(), &message, reservation).await
    }

    fn frame(&self, message: Bytes, body: &mut Frames) {
        body.push_back(Frame::data(message));
    }

    fn end(&self, body: Frames) -> Response<Body> {
        let kind = match self.encoding {
            Encoding::Json => JSON,
            Encoding::Proto => PROTO,
        };
        let mut response = Response::new(Body::Whole(body));
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

impl Codec for ConnectStream {
    const PROTOCOL: Protocol = Protocol::Connect;

    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Status> {
        check_version(headers)?;
        deadline::of_connect(headers)
    }

    async fn announced<B: RequestBody>(
        &self,
        reader: &mut Reader<B>,
        _: &HeaderMap,
    ) -> Result<MessageInfo, Status> {
        envelope::announced(reader).await
    }

    async fn read<B: RequestBody>(
        &self,
        reader: &mut Reader<B>,
        announced: MessageInfo,
        _limit: usize,
        permit: &Permit,
    ) -> Result<Bytes, Status> {
        envelope::read(reader, announced, permit).await
    }

    fn codings(&self, announced: MessageInfo, headers: &HeaderMap) -> Result<Codings, Status> {
        coding::of_message(announced, headers, "connect-content-encoding")
    }

    fn decode(
        &self,
        method: &Method,
        message: Bytes,
        limit: usize,
        permit: &Permit,
    ) -> Result<Bytes, Status> {
        self.0.decode(method, message, limit, permit)
    }

    fn refuse(&self, status: &Status) -> Response<Body> {
        StreamForm::Connect(self.0).refuse(status)
    }
}

impl Encoding {
    /// Converts a message of a request to protobuf, or checks that it is that.
    fn decode(self, method: &Method, message: Bytes, limit: usize, permit: &Permit) -> Result<Bytes, Status> {
        match self {
            Self::Json => from_json(method, &message, limit, permit),
            Self::Proto => {
                method.check(&message)?;
                Ok(message)
            }
        }
    }

    /// Converts a message of an answer from protobuf.
    pub(super) async fn encode(
        self,
        output: &MessageDescriptor,
        message: &Payload,
        reservation: Reservation,
    ) -> Result<Bytes, Status> {
        match self {
            Self::Json => to_json(output, message, reservation).await,
            Self::Proto => Ok(message.value().clone()),
        }
    }
}

fn sent_in_body(headers: &HeaderMap) -> Result<Connect<'static>, Response<Body>> {
    let encoding = encoding(headers).ok_or_else(no_encoding)?;
    let values = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
    let codings = Codings::parse(values, "bodies").map_err(|refused| {
        let error = Status::unimplemented(refused.to_string());
        let mut response = refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error);
        response.headers_mut().insert(ACCEPT_ENCODING, coding::SUPPORTED);
        response
    })?;
    Ok(Connect { encoding, sent: MessageSource::Body(codings) })
}

fn no_encoding() -> Response<Body> {
    let error = status::with_hint(
        Code::InvalidArgument,
        "the content type is not supported",
        "send JSON with the header `content-type: application/json`",
    );
    let mut response = refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error);
    let both = HeaderValue::from_static("application/json, application/proto");
    response.headers_mut().insert("accept-post", both);
    response
}

fn method_not_allowed(method: &Method) -> Response<Body> {
    let (verbs, also) = if method.is_safe() { ("GET, POST", " or GET") } else { ("POST", "") };
    let error = Status::unimplemented(format!("`{}` is called with POST{also}", method.path()));
    let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, &error);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(verbs));
    response
}

/// Returns an error response: JSON with the gRPC code, whatever the request's encoding.
pub(super) fn refuse(http: StatusCode, status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::data(error_or_ok(Some(status))));
    *response.status_mut() = http;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// An error, or `ok`, in JSON.
#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: Cow<'a, str>,
}

impl<'a> Error<'a> {
    fn of(status: &'a Status) -> Self {
        Self { code: status::name(status.code()), message: status::for_json(status) }
    }
}

/// Returns a status as JSON; `ok` for none.
pub(super) fn error_or_ok(status: Option<&Status>) -> Vec<u8> {
    let ok = Error { code: status::name(Code::Ok), message: "".into() };
    serde_json::to_vec(&status.map_or(ok, Error::of)).expect("texts are JSON")
}

/// Returns the last message of a stream (Connect protocol, "EndStreamResponse").
pub(super) fn end_of_stream(status: Option<&Status>) -> Vec<u8> {
    #[derive(Serialize)]
    struct End<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Error<'a>>,
    }
    serde_json::to_vec(&End { error: status.map(Error::of) }).expect("texts are JSON")
}

/// Returns the encoding of the messages in the body of a stream, if the body is one.
fn stream_encoding(headers: &HeaderMap) -> Option<Encoding> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match kind {
        kind if is_kind(kind, "application/connect+json") => Some(Encoding::Json),
        kind if is_kind(kind, "application/connect+proto") => Some(Encoding::Proto),
        _ => None,
    }
}

/// Returns the encoding of the body. A missing content type has no default: any page may send such a body to any
/// port.
fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Some(Encoding::Json),
        "application/proto" => Some(Encoding::Proto),
        _ => None,
    }
}

/// Returns the size of the body that the client declares, if it does.
pub(super) fn declared_size(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn check_version(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get("connect-protocol-version") {
        Some(version) if version != "1" => {
            Err(Status::invalid_argument("the header `connect-protocol-version` must be 1"))
        }
        _ => Ok(()),
    }
}

/// Parses a message from JSON. White space alone is a message without fields.
fn from_json(method: &Method, text: &[u8], limit: usize, permit: &Permit) -> Result<Bytes, Status> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Bytes::new());
    }
    let bounds = json::Bounds { limit, reservation: permit.reserve() };
    json::parse(method.input(), text, bounds).map_err(|error| match error {
        json::Error::Refused(Refused::Full(refused)) => full(refused),
        json::Error::Refused(Refused::TooLarge { limit }) => Status::resource_exhausted(format!(
            "the request's message has more than the limit of {limit} bytes as protobuf"
        )),
        error => Status::invalid_argument(format!("the request's JSON is {}", hint::messages(&error))),
    })
}

/// Writes a message of an answer as JSON, limited in size by the memory available.
async fn to_json(
    output: &MessageDescriptor,
    message: &Payload,
    reservation: Reservation,
) -> Result<Bytes, Status> {
    let message = message.value();
    let bounds = json::Bounds { limit: usize::MAX, reservation };
    let written = offload::run(message.len(), || json::write(output, message, json::Format::WIRE, bounds));
    written.await.map_err(|error| match error {
        json::Error::Refused(Refused::Full(refused)) => full(refused),
        error => Status::internal(format!("the answer is {}", hint::messages(&error))),
    })
}
