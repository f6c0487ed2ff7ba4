//! Try it: lists the methods of a version, and calls one.

use super::{
    App,
    read::{Body, VersionPath},
    refusal::{Code, Refusal},
    response::{self, JsonResponse},
};
use crate::schema;
use axum::extract::State;
use krt_api::call::{Call, CallResult, Methods};
use krt_runtime::{memory::Reservation, offload};
use serde::{Serialize, Serializer};
use std::time::{Duration, Instant};
use tonic::Code as Grpc;

/// A result, with the memory of its answer, reserved until it is written.
#[derive(Debug)]
pub(super) struct ReservedResult {
    result: CallResult,
    _memory: Reservation,
}

impl Serialize for ReservedResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.result.serialize(serializer)
    }
}

pub(super) async fn methods(
    State(app): State<App>,
    VersionPath(runtime, version): VersionPath,
) -> Result<JsonResponse<Methods>, Refusal> {
    let package = app.backend().package(&runtime, &version).await?;
    Ok(response::ok(schema::methods(&package)))
}

pub(super) async fn call(
    State(app): State<App>,
    VersionPath(runtime, version): VersionPath,
    Body(call): Body<Call>,
) -> Result<JsonResponse<ReservedResult>, Refusal> {
    let timeout = match call.timeout_seconds {
        Some(seconds) => (0.001..=300.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds)),
        None => Some(Duration::MAX),
    };
    let timeout = timeout.ok_or_else(|| Refusal::invalid("`timeout_seconds` must be from 0.001 to 300"))?;
    let handle = app.backend().handle(&runtime, &version).await?;
    let handle = handle.ok_or_else(|| {
        Refusal::new(Code::Unavailable, format!("`{version}` does not run")).hint("start it first")
    })?;
    let begun = Instant::now();
    let text: Box<str> = call.message.into();
    let called = handle.ingress().call(&call.method, String::from(text).into(), timeout).await;
    // Two more copies: the parsed value, and the response body.
    let mut held = handle.ingress().reserve();
    let (code, message, answer) = match called.answer {
        Ok(answer) if held.try_grow(2 * answer.len()).is_ok() => {
            (Grpc::Ok, None, offload::run(answer.len(), || serde_json::from_slice(&answer).ok()).await)
        }
        Ok(answer) => {
            let message = format!("an answer of {} bytes is too large to show", answer.len());
            (Grpc::ResourceExhausted, Some(message), None)
        }
        Err(status) => (status.code(), Some(status.message().to_owned()), None),
    };
    let result = CallResult {
        ok: code == Grpc::Ok,
        code: name(code).to_owned(),
        message,
        answer,
        elapsed_ms: begun.elapsed().as_secs_f64() * 1e3,
        request: called.request.map(|id| id.to_string()),
    };
    Ok(response::ok(ReservedResult { result, _memory: held }))
}

/// A status code's name, as gRPC's documents write it.
fn name(code: Grpc) -> &'static str {
    match code {
        Grpc::Ok => "OK",
        Grpc::Cancelled => "CANCELLED",
        Grpc::Unknown => "UNKNOWN",
        Grpc::InvalidArgument => "INVALID_ARGUMENT",
        Grpc::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Grpc::NotFound => "NOT_FOUND",
        Grpc::AlreadyExists => "ALREADY_EXISTS",
        Grpc::PermissionDenied => "PERMISSION_DENIED",
        Grpc::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Grpc::FailedPrecondition => "FAILED_PRECONDITION",
        Grpc::Aborted => "ABORTED",
        Grpc::OutOfRange => "OUT_OF_RANGE",
        Grpc::Unimplemented => "UNIMPLEMENTED",
        Grpc::Internal => "INTERNAL",
        Grpc::Unavailable => "UNAVAILABLE",
        Grpc::DataLoss => "DATA_LOSS",
        Grpc::Unauthenticated => "UNAUTHENTICATED",
    }
}
