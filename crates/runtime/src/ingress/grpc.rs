//! Unary gRPC on bytes: messages that are only passed on are not decoded.

use super::{
    body::Body,
    coding::{self, Codings},
    deadline,
    listener::Held,
    read::{Reader, too_large},
    service::{Ingress, Method},
    status,
};
use crate::{
    flow::{Deadline, Messages, Permit},
    offload,
    traces::{Protocol, Trace},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use hyper::body::Incoming;
use krt_model::{message::Payload, outcome::Failure};
use std::{sync::Arc, time::Duration};
use tonic::{Code, Status};

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Answers a call of a known method.
pub(super) async fn call(ingress: &Ingress, method: &Method, request: Request<Incoming>) -> Response<Body> {
    let traced = ingress.trace(method, Protocol::Grpc, request.headers());
    let answered = answer(ingress, method, request, traced.trace()).await;
    traced.end(answered.as_ref().err().map(status::fault));
    match answered {
        Ok((messages, held)) => {
            let mut response = Response::new(Body::grpc(messages.iter().map(Payload::value)));
            response.extensions_mut().insert(held);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
        Err(status) => refuse(&status),
    }
}

/// Returns a response with only a status.
pub(super) fn refuse(status: &Status) -> Response<Body> {
    let mut response = status::for_grpc(status).into_owned().into_http();
    if status.code() == Code::Unimplemented {
        response.headers_mut().insert("grpc-accept-encoding", coding::UNDERSTOOD);
    }
    response
}

async fn answer(
    ingress: &Ingress,
    method: &Method,
    request: Request<Incoming>,
    trace: Trace,
) -> Result<(Messages, Held), Status> {
    let (parts, body) = request.into_parts();
    let timeout = deadline::of_grpc(&parts.headers)?.unwrap_or(Duration::MAX).min(ingress.limits().timeout);
    let deadline = Deadline::after(timeout);
    let route = method.route()?;
    let mut reader = Reader::new(body);
    let limit = ingress.limits().message;
    let read = read(&mut reader, &parts.headers, limit, |size| ingress.flow().enter(route, size));
    let (permit, message) = tokio::time::timeout_at(deadline.at.into(), read)
        .await
        .map_err(|_| Status::deadline_exceeded("the request did not arrive in time"))??;
    let payload = offload::run(message.len(), || {
        method.check(&message)?;
        method.pack(&message, &permit)
    });
    let payload = payload.await?;
    drop(message);
    let permit = Arc::new(permit);
    let pending = ingress.flow().request(Arc::clone(&permit), route, payload, deadline, trace);
    let answer = pending.whole().await.map_err(|failure| status::of_failure(&failure))?;
    Ok((answer, Held::new(permit)))
}

/// Reads a call's one message, and decompresses it. `enter` lets a request of that many bytes in.
pub(super) async fn read<B: http_body::Body<Data = Bytes> + Unpin>(
    reader: &mut Reader<B>,
    headers: &HeaderMap,
    limit: usize,
    enter: impl FnOnce(usize) -> Result<Permit, Failure>,
) -> Result<(Permit, Bytes), Status> {
    let (compressed, size) = read_prefix(reader, limit).await?;
    let mut permit = enter(size).map_err(|failure| status::of_failure(&failure))?;
    permit.came(size);
    let message = read_message(reader, size, &permit).await?;
    let message = match compressed {
        true => decompress(headers, message, limit, &permit).await?,
        false => message,
    };
    Ok((permit, message))
}

async fn read_prefix<B: http_body::Body<Data = Bytes> + Unpin>(
    reader: &mut Reader<B>,
    limit: usize,
) -> Result<(bool, usize), Status> {
    let prefix = reader.prefix::<PREFIX>().await?;
    let [flag, size @ ..] = prefix.ok_or_else(|| Status::internal("the request has no message"))?;
    let compressed = match flag {
        0 => false,
        1 => true,
        flag => return Err(Status::internal(format!("the request's message has the unknown flag {flag}"))),
    };
    let size = u32::from_be_bytes(size) as usize;
    if size > limit { Err(too_large(size, limit)) } else { Ok((compressed, size)) }
}

async fn read_message<B: http_body::Body<Data = Bytes> + Unpin>(
    reader: &mut Reader<B>,
    size: usize,
    permit: &Permit,
) -> Result<Bytes, Status> {
    let message = reader.take(size, permit).await?;
    if message.len() < size {
        let there = message.len();
        return Err(Status::internal(format!("the request's message has {there} bytes of {size}")));
    }
    if !reader.is_at_end().await? {
        return Err(Status::unimplemented("a unary RPC takes one message"));
    }
    Ok(message)
}

async fn decompress(
    headers: &HeaderMap,
    message: Bytes,
    limit: usize,
    permit: &Permit,
) -> Result<Bytes, Status> {
    let values = headers.get_all("grpc-encoding").iter().map(HeaderValue::as_bytes);
    let codings =
        Codings::parse(values, "messages").map_err(|refused| Status::unimplemented(refused.to_string()))?;
    if codings.is_identity() {
        return Err(Status::internal(
            "the message is compressed, but the header `grpc-encoding` does not say how",
        ));
    }
    codings.undo(message, limit, &permit.reserve()).await
}
