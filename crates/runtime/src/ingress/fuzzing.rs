//! The readers of gRPC calls, for `fuzz/targets/grpc.rs`. It exists with `--cfg fuzzing` only.

use super::{call, grpc::Grpc, read::Reader, wire};
use crate::flow::{Admission, Permit};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost_reflect::MessageDescriptor;
use std::{convert::Infallible, sync::Arc};
use tonic::Status;

/// Reads the message of a unary call whose body comes in these frames of HTTP/2, and decompresses it.
pub async fn read_call(
    frames: Vec<Bytes>,
    headers: &HeaderMap,
    limit: usize,
    admission: &Arc<Admission>,
) -> Result<(Permit, Bytes), Status> {
    let frames = frames.into_iter().map(|frame| Ok::<_, Infallible>(Frame::data(frame)));
    let mut reader = Reader::new(StreamBody::new(futures::stream::iter(frames)));
    call::receive(&Grpc, &mut reader, headers, limit, |size| admission.enter(size)).await
}

/// Whether bytes are a message of a type; if not, why.
pub fn check(message: &[u8], kind: &MessageDescriptor) -> Result<(), String> {
    wire::check(message, kind).map_err(|fault| fault.to_string())
}
