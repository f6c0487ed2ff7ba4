//! JSON (and protobuf) over HTTP, by the unary rules of the Connect protocol.

mod query;

use super::{
    body::Body,
    coding::{self, Codings},
    deadline,
    listener::Held,
    read::{Reader, full, too_large},
    service::{Ingress, Method, unknown},
    status,
};
use crate::{
    errors::chain,
    flow::{Deadline, Messages, Permit, Route},
    json,
    memory::{Refused, Reservation},
    offload,
    traces::{Protocol, Trace},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode, Version,
    header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT},
};
use hyper::body::Incoming;
use krt_model::message::Payload;
use query::Query;
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tonic::Status;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROTO: HeaderValue = HeaderValue::from_static("application/proto");

/// The encoding of this request's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Json,
    Proto,
}

/// The place of a request's message.
#[derive(Debug)]
enum Sent {
    /// In the body.
    Body(Codec, Codings),
    /// In the URL.
    Query(Query),
}

impl Sent {
    fn codec(&self) -> Codec {
        match self {
            Self::Body(codec, _) => *codec,
            Self::Query(query) => query.codec,
        }
    }
}

/// Answers a request that is not gRPC. `method` is the method its path names, if it exists.
pub(super) async fn call(
    ingress: &Ingress,
    method: Option<&Method>,
    request: Request<Incoming>,
) -> Response<Body> {
    let Some(method) = method else {
        return refuse(StatusCode::NOT_FOUND, &unknown(request.uri().path()));
    };
    let sent = match *request.method() {
        Verb::POST => sent_in_body(request.headers()),
        Verb::GET if method.is_safe() => Query::parse(request.uri().query().unwrap_or_default())
            .map(Sent::Query)
            .map_err(|error| refuse(status::http(error.code()), &error)),
        _ => Err(wrong_verb(method)),
    };
    let sent = match sent {
        Ok(sent) => sent,
        Err(refused) => return refused,
    };
    let codec = sent.codec();
    let traced = ingress.trace(method, Protocol::Connect, request.headers());
    let answered = answer(ingress, method, sent, request, traced.trace()).await;
    traced.end(answered.as_ref().err().map(status::fault));
    match answered {
        Ok((message, held)) => {
            let mut response = Response::new(Body::data(message));
            response.extensions_mut().insert(held);
            response.headers_mut().insert(CONTENT_TYPE, if codec == Codec::Json { JSON } else { PROTO });
            response
        }
        Err(error) => refuse(status::http(error.code()), &error),
    }
}

fn sent_in_body(headers: &HeaderMap) -> Result<Sent, Response<Body>> {
    let codec = codec(headers).ok_or_else(no_codec)?;
    let values = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
    let codings = Codings::parse(values, "bodies").map_err(|refused| {
        let error = Status::unimplemented(refused.to_string());
        let mut response = refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error);
        response.headers_mut().insert(ACCEPT_ENCODING, coding::UNDERSTOOD);
        response
    })?;
    Ok(Sent::Body(codec, codings))
}

fn no_codec() -> Response<Body> {
    let error = Status::invalid_argument("hint: send JSON with the header `content-type: application/json`");
    let mut response = refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error);
    let both = HeaderValue::from_static("application/json, application/proto");
    response.headers_mut().insert("accept-post", both);
    response
}

fn wrong_verb(method: &Method) -> Response<Body> {
    let (verbs, also) = if method.is_safe() { ("GET, POST", " or GET") } else { ("POST", "") };
    let error = Status::unimplemented(format!("`{}` is called with POST{also}", method.path()));
    let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, &error);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(verbs));
    response
}

/// Returns an error response: JSON with the gRPC code, whatever the request's codec.
pub(super) fn refuse(http: StatusCode, status: &Status) -> Response<Body> {
    #[derive(Serialize)]
    struct Error<'a> {
        code: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        message: &'a str,
    }
    let error = Error { code: status::name(status.code()), message: &status::for_json(status) };
    let text = serde_json::to_vec(&error).expect("texts are JSON");
    let mut response = Response::new(Body::data(text));
    *response.status_mut() = http;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Returns the codec of the body. A missing content type has no default: any page may send such a body to any
/// port.
fn codec(headers: &HeaderMap) -> Option<Codec> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Some(Codec::Json),
        "application/proto" => Some(Codec::Proto),
        _ => None,
    }
}

async fn answer(
    ingress: &Ingress,
    method: &Method,
    sent: Sent,
    request: Request<Incoming>,
    trace: Trace,
) -> Result<(Bytes, Held), Status> {
    let (parts, body) = request.into_parts();
    check_version(&parts.headers)?;
    let limit = ingress.limits().message;
    let timeout =
        deadline::of_connect(&parts.headers)?.unwrap_or(Duration::MAX).min(ingress.limits().timeout);
    let deadline = Deadline::after(timeout);
    let route = method.route()?;
    let codec = sent.codec();
    let mut reader = Reader::new(body);
    let received = receive(ingress, route, sent, &parts.headers, &mut reader);
    let received = tokio::time::timeout_at(deadline.at.into(), received).await;
    let received = received.map_err(|_| Status::deadline_exceeded("the request did not arrive in time"))?;
    if received.is_err() && parts.version < Version::HTTP_2 && !parts.headers.contains_key(EXPECT) {
        reader.drain(limit).await;
    }
    let (permit, body) = received?;
    let payload = offload::run(body.len(), || {
        let message = match codec {
            Codec::Json => from_json(method, &body, limit, &permit)?,
            Codec::Proto => {
                method.check(&body)?;
                body.clone()
            }
        };
        drop(body);
        method.pack(&message, &permit)
    });
    let payload = payload.await?;
    let permit = Arc::new(permit);
    let pending = ingress.flow().request(Arc::clone(&permit), route, payload, deadline, trace);
    let answer = pending.whole().await.map_err(|failure| status::of_failure(&failure))?;
    let answer = encode(codec, method, answer, &permit.reserve()).await?;
    Ok((answer, Held::new(permit)))
}

/// Writes the message of an answer.
pub(super) async fn encode(
    codec: Codec,
    method: &Method,
    answer: Messages,
    reservation: &Reservation,
) -> Result<Bytes, Status> {
    let mut body = Bytes::new();
    for message in answer {
        body = match codec {
            Codec::Json => to_json(method, message, reservation.another()).await?,
            Codec::Proto => message.value().clone(),
        };
    }
    Ok(body)
}

fn declared_size(headers: &HeaderMap) -> Option<usize> {
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

/// Admits a request and reads its message, decompressed.
async fn receive(
    ingress: &Ingress,
    route: &Route,
    sent: Sent,
    headers: &HeaderMap,
    reader: &mut Reader,
) -> Result<(Permit, Bytes), Status> {
    let limit = ingress.limits().message;
    let declared = match &sent {
        Sent::Query(query) => Some(query.size()),
        Sent::Body(..) => declared_size(headers),
    };
    if let Some(size) = declared.filter(|&size| size > limit) {
        return Err(too_large(size, limit));
    }
    let permit = ingress.flow().enter(route, declared.unwrap_or_default());
    let mut permit = permit.map_err(|failure| status::of_failure(&failure))?;
    let (message, codings) = match sent {
        Sent::Query(query) => query.into_message(),
        Sent::Body(_, codings) => {
            (reader.take_all(limit, declared.unwrap_or(limit), &permit).await?, codings)
        }
    };
    permit.came(message.len());
    let message = codings.undo(message, limit, &permit.reserve()).await?;
    Ok((permit, message))
}

/// Parses a message from JSON. White space alone is a message without fields.
pub(super) fn from_json(
    method: &Method,
    text: &[u8],
    limit: usize,
    permit: &Permit,
) -> Result<Bytes, Status> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Bytes::new());
    }
    let bounds = json::Bounds { limit, reservation: permit.reserve() };
    json::parse(method.input(), text, bounds).map_err(|error| match error {
        json::Error::Refused(Refused::Full(refused)) => full(refused),
        json::Error::Refused(Refused::TooLarge { limit }) => Status::resource_exhausted(format!(
            "the request's message has more than the limit of {limit} bytes as protobuf"
        )),
        error => Status::invalid_argument(format!("the request's JSON is {}", chain(&error))),
    })
}

/// Writes an answer as JSON, limited in size by the memory available.
async fn to_json(method: &Method, answer: Payload, reservation: Reservation) -> Result<Bytes, Status> {
    let message = answer.value();
    let bounds = json::Bounds { limit: usize::MAX, reservation };
    let written =
        offload::run(message.len(), || json::write(method.output(), message, json::Form::WIRE, bounds));
    written.await.map_err(|error| match error {
        json::Error::Refused(Refused::Full(refused)) => full(refused),
        error => Status::internal(format!("the answer is {}", chain(&error))),
    })
}
