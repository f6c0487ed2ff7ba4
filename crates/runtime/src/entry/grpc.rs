//! Unary gRPC, on bytes: nothing is decoded that is only passed on.

use super::{
    body::Body,
    deadline,
    door::{Door, Method},
    read::{Reader, gunzip, too_large},
    status,
};
use crate::{
    flow::Deadline,
    traces::{Protocol, Trace},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use hyper::body::Incoming;
use krt_model::message::Payload;
use std::time::Duration;
use tonic::{Code, Status};

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Answers a call of a known method.
pub(super) async fn call(door: &Door, method: &Method, request: Request<Incoming>) -> Response<Body> {
    let traced = door.trace(method, Protocol::Grpc, request.headers());
    let answered = answer(door, method, request, traced.trace()).await;
    traced.end(answered.as_ref().err().map(status::fault));
    match answered {
        Ok(message) => {
            let mut response = Response::new(Body::grpc(&message));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
        Err(status) => refuse(&status),
    }
}

/// The response that carries nothing but a status.
pub(super) fn refuse(status: &Status) -> Response<Body> {
    let mut response = status.clone().into_http();
    if status.code() == Code::Unimplemented {
        response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    }
    response
}

async fn answer(
    door: &Door,
    method: &Method,
    request: Request<Incoming>,
    trace: Trace,
) -> Result<Bytes, Status> {
    let (parts, body) = request.into_parts();
    let timeout = deadline::of_grpc(&parts.headers)?.unwrap_or(Duration::MAX).min(door.limits().timeout);
    let deadline = Deadline::after(timeout);
    let route = method.route()?;
    let mut reader = Reader::new(body);
    let read = async {
        let (compressed, size) = read_prefix(&mut reader, door.limits().message).await?;
        let permit = door.flow().enter(route, size).map_err(|failure| status::of_failure(&failure))?;
        let message = read_message(&mut reader, size).await?;
        let message =
            if compressed { decompress(&parts.headers, &message, door.limits().message)? } else { message };
        Ok::<_, Status>((permit, message))
    };
    let (permit, message) = tokio::time::timeout_at(deadline.at.into(), read)
        .await
        .map_err(|_| Status::deadline_exceeded("the request did not arrive in time"))??;
    method.check(&message)?;
    let payload = Payload::pack(method.input_url(), &message);
    let answer = door.flow().request(permit, route, payload, deadline, trace).await;
    answer.map(|payload| payload.value().clone()).map_err(|failure| status::of_failure(&failure))
}

async fn read_prefix(reader: &mut Reader, limit: usize) -> Result<(bool, usize), Status> {
    if reader.fill(PREFIX).await? < PREFIX {
        return Err(Status::internal("the request has no message"));
    }
    let prefix = reader.take(PREFIX);
    let compressed = match prefix[0] {
        0 => false,
        1 => true,
        flag => return Err(Status::internal(format!("the request's message has the unknown flag {flag}"))),
    };
    let size = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    if size > limit { Err(too_large(size, limit)) } else { Ok((compressed, size)) }
}

async fn read_message(reader: &mut Reader, size: usize) -> Result<Bytes, Status> {
    let there = reader.fill(size).await?;
    if there < size {
        return Err(Status::internal(format!("the request's message has {there} bytes of {size}")));
    }
    let message = reader.take(size);
    if reader.fill(1).await? > 0 {
        return Err(Status::unimplemented("a unary RPC takes one message"));
    }
    Ok(message)
}

fn decompress(headers: &HeaderMap, message: &[u8], limit: usize) -> Result<Bytes, Status> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        Some(b"gzip") => gunzip(message, limit),
        Some(other) => Err(Status::unimplemented(format!(
            "messages compressed with `{}` are not understood, only with `gzip`",
            String::from_utf8_lossy(other)
        ))),
        None => Err(Status::internal("the message is compressed, but the header `grpc-encoding` is missing")),
    }
}
