//! JSON (and protobuf) over HTTP, by the unary rules of the Connect protocol.

mod query;

use super::{
    body::Body,
    deadline,
    door::{Door, Method, unknown},
    read::{Reader, gunzip, too_large},
    status,
};
use crate::{
    errors::chain,
    flow::Deadline,
    json,
    traces::{Protocol, Trace},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode,
    header::{ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use hyper::body::Incoming;
use krt_model::message::Payload;
use query::Query;
use serde::Serialize;
use std::time::Duration;
use tonic::Status;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROTO: HeaderValue = HeaderValue::from_static("application/proto");

/// How messages are written on this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Json,
    Proto,
}

/// Where a request's message is.
#[derive(Debug)]
enum Sent {
    /// In the body.
    Body(Codec),
    /// In the URL.
    Query(Query),
}

impl Sent {
    fn codec(&self) -> Codec {
        match self {
            Self::Body(codec) => *codec,
            Self::Query(query) => query.codec,
        }
    }
}

/// Answers a request that is not gRPC. `method` is the one its path names, if there is one.
pub(super) async fn call(door: &Door, method: Option<&Method>, request: Request<Incoming>) -> Response<Body> {
    let Some(method) = method else {
        return refuse(StatusCode::NOT_FOUND, &unknown(request.uri().path()));
    };
    let sent = match *request.method() {
        Verb::POST => codec(request.headers()).map(Sent::Body).ok_or_else(no_codec),
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
    let traced = door.trace(method, Protocol::Connect, request.headers());
    let answered = answer(door, method, sent, request, traced.trace()).await;
    traced.end(answered.as_ref().err().map(status::fault));
    match answered {
        Ok(message) => {
            let mut response = Response::new(Body::data(message));
            response.headers_mut().insert(CONTENT_TYPE, if codec == Codec::Json { JSON } else { PROTO });
            response
        }
        Err(error) => refuse(status::http(error.code()), &error),
    }
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

/// The response that carries an error: JSON with the gRPC code, whatever the request's codec.
pub(super) fn refuse(http: StatusCode, status: &Status) -> Response<Body> {
    #[derive(Serialize)]
    struct Error<'a> {
        code: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        message: &'a str,
    }
    let error = Error { code: status::name(status.code()), message: status.message() };
    let text = serde_json::to_vec(&error).expect("texts are JSON");
    let mut response = Response::new(Body::data(text));
    *response.status_mut() = http;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn codec(headers: &HeaderMap) -> Option<Codec> {
    let kind = headers.get(CONTENT_TYPE).map_or(Some(""), |value| value.to_str().ok())?;
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Some(Codec::Json),
        "application/proto" => Some(Codec::Proto),
        "" if headers.get(ACCEPT).is_none_or(|accept| accept != PROTO) => Some(Codec::Json),
        _ => None,
    }
}

async fn answer(
    door: &Door,
    method: &Method,
    sent: Sent,
    request: Request<Incoming>,
    trace: Trace,
) -> Result<Bytes, Status> {
    let (parts, body) = request.into_parts();
    check_version(&parts.headers)?;
    let limit = door.limits().message;
    let timeout = deadline::of_connect(&parts.headers)?.unwrap_or(Duration::MAX).min(door.limits().timeout);
    let deadline = Deadline::after(timeout);
    let route = method.route()?;
    let codec = sent.codec();
    let declared = match &sent {
        Sent::Query(query) => Some(query.size()),
        Sent::Body(_) => declared_size(&parts.headers),
    };
    if let Some(size) = declared.filter(|&size| size > limit) {
        return Err(too_large(size, limit));
    }
    let permit = door
        .flow()
        .enter(route, declared.unwrap_or(limit.min(UNDECLARED)))
        .map_err(|failure| status::of_failure(&failure))?;
    let read = async {
        match sent {
            Sent::Query(query) => query.read(limit),
            Sent::Body(_) => read_body(&parts.headers, Reader::new(body), limit).await,
        }
    };
    let read = tokio::time::timeout_at(deadline.at.into(), read).await;
    let body = read.map_err(|_| Status::deadline_exceeded("the request did not arrive in time"))??;
    let message = match codec {
        Codec::Json => from_json(method, &body)?,
        Codec::Proto => {
            method.check(&body)?;
            body
        }
    };
    let payload = Payload::pack(method.input_url(), &message);
    let answer = door.flow().request(permit, route, payload, deadline, trace).await;
    let answer = answer.map_err(|failure| status::of_failure(&failure))?;
    match codec {
        Codec::Json => to_json(method, answer.value()),
        Codec::Proto => Ok(answer.value().clone()),
    }
}

/// What a body without a declared size is counted as, bytes.
const UNDECLARED: usize = 64 << 10;

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

async fn read_body(headers: &HeaderMap, mut reader: Reader, limit: usize) -> Result<Bytes, Status> {
    let size = reader.fill(limit + 1).await?;
    if size > limit {
        return Err(too_large(size, limit));
    }
    let body = reader.take_all();
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(body),
        Some(b"gzip") => gunzip(&body, limit),
        Some(other) => Err(Status::unimplemented(format!(
            "bodies compressed with `{}` are not understood, only with `gzip`",
            String::from_utf8_lossy(other)
        ))),
    }
}

pub(super) fn from_json(method: &Method, body: &[u8]) -> Result<Bytes, Status> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Bytes::new());
    }
    json::parse(method.input(), body)
        .map_err(|error| Status::invalid_argument(format!("the request's JSON is {}", chain(&error))))
}

pub(super) fn to_json(method: &Method, message: &[u8]) -> Result<Bytes, Status> {
    json::write(method.output(), message)
        .map_err(|error| Status::internal(format!("the answer is {}", chain(&error))))
}
