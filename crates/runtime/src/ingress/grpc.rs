//! gRPC on bytes: messages that are only passed on are not decoded.

use super::{
    body::{Body, Frames},
    call::{Codec, Unary},
    coding::{self, Codings},
    deadline, envelope,
    read::{MessageInfo, Reader, RequestBody},
    service::Method,
    status,
};
use crate::{flow::Permit, memory::Reservation, traces::Protocol};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body::Frame;
use krt_model::message::Payload;
use std::time::Duration;
use tonic::{Code, Status};

/// The messages of gRPC.
#[derive(Debug)]
pub(super) struct Grpc;

impl Codec for Grpc {
    const PROTOCOL: Protocol = Protocol::Grpc;

    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Status> {
        deadline::of_grpc(headers)
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
        coding::of_message(announced, headers, "grpc-encoding")
    }

    fn decode(&self, method: &Method, message: Bytes, _: usize, _: &Permit) -> Result<Bytes, Status> {
        method.check(&message)?;
        Ok(message)
    }

    fn refuse(&self, status: &Status) -> Response<Body> {
        refuse(status)
    }
}

impl Unary for Grpc {
    async fn encode(&self, _: &Method, message: Payload, _: Reservation) -> Result<Bytes, Status> {
        Ok(message.value().clone())
    }

    fn frame(&self, message: Bytes, body: &mut Frames) {
        envelope::frame(0, message, body);
    }

    fn end(&self, mut body: Frames) -> Response<Body> {
        body.push_back(Frame::trailers(trailers(None)));
        let mut response = Response::new(Body::Whole(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

/// Returns the trailers of success, or of an error (gRPC over HTTP/2, "Responses").
pub(super) fn trailers(status: Option<&Status>) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    match status {
        // Cannot fail: it escapes the text.
        Some(status) => drop(status::for_grpc(status).add_header(&mut trailers)),
        None => drop(trailers.insert("grpc-status", HeaderValue::from_static("0"))),
    }
    trailers
}

/// Returns a response of one message.
pub(super) fn one(message: Bytes) -> Response<Body> {
    let mut body = Frames::new();
    Grpc.frame(message, &mut body);
    Grpc.end(body)
}

/// Returns a response with only a status.
pub(super) fn refuse(status: &Status) -> Response<Body> {
    let mut response = status::for_grpc(status).into_owned().into_http();
    if status.code() == Code::Unimplemented {
        response.headers_mut().insert("grpc-accept-encoding", coding::SUPPORTED);
    }
    response
}
