//! Unary gRPC on bytes: messages that are only passed on are not decoded.

use super::{
    body::{Body, Frames},
    call::{Codec, MessageInfo, RequestBody},
    coding::{self, Codings},
    deadline,
    read::Reader,
    service::Method,
    status,
};
use crate::{flow::Permit, memory::Reservation, traces::Protocol};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body::Frame;
use krt_model::message::Payload;
use std::time::Duration;
use tonic::{Code, Status};

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// Largest message that shares a buffer with its prefix, in bytes.
const SHARED_BUFFER: usize = 16 << 10;

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
        let prefix = reader.prefix::<PREFIX>().await?;
        let [flag, size @ ..] = prefix.ok_or_else(|| Status::internal("the request has no message"))?;
        let compressed = match flag {
            0 => false,
            1 => true,
            flag => {
                return Err(Status::internal(format!("the request's message has the unknown flag {flag}")));
            }
        };
        Ok(MessageInfo { size: Some(u32::from_be_bytes(size) as usize), compressed })
    }

    async fn read<B: RequestBody>(
        &self,
        reader: &mut Reader<B>,
        announced: MessageInfo,
        _limit: usize,
        permit: &Permit,
    ) -> Result<Bytes, Status> {
        let size = announced.size.unwrap_or_default();
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

    fn codings(&self, announced: MessageInfo, headers: &HeaderMap) -> Result<Codings, Status> {
        if !announced.compressed {
            return Ok(Codings::NONE);
        }
        let values = headers.get_all("grpc-encoding").iter().map(HeaderValue::as_bytes);
        let codings = Codings::parse(values, "messages")
            .map_err(|refused| Status::unimplemented(refused.to_string()))?;
        if codings.is_identity() {
            return Err(Status::internal(
                "the message is compressed, but the header `grpc-encoding` does not say how",
            ));
        }
        Ok(codings)
    }

    fn decode(&self, method: &Method, message: Bytes, _: usize, _: &Permit) -> Result<Bytes, Status> {
        method.check(&message)?;
        Ok(message)
    }

    async fn encode(&self, _: &Method, message: Payload, _: Reservation) -> Result<Bytes, Status> {
        Ok(message.value().clone())
    }

    fn frame(&self, message: Bytes, body: &mut Frames) {
        let length = u32::try_from(message.len()).expect("answers are held to a limit far below 4 GiB");
        let small = message.len() <= SHARED_BUFFER;
        let mut head = BytesMut::with_capacity(PREFIX + if small { message.len() } else { 0 });
        head.put_u8(0);
        head.put_u32(length);
        if small {
            head.put_slice(&message);
            body.push_back(Frame::data(head.freeze()));
        } else {
            body.extend([Frame::data(head.freeze()), Frame::data(message)]);
        }
    }

    /// Adds the trailers of success (gRPC over HTTP/2, "Responses").
    fn end(&self, mut body: Frames) -> Response<Body> {
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        body.push_back(Frame::trailers(trailers));
        let mut response = Response::new(Body::Whole(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }

    fn refuse(&self, status: &Status) -> Response<Body> {
        refuse(status)
    }
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
