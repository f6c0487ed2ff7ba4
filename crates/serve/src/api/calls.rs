//! Try it: lists the methods of a version, and calls one.

use super::{
    App,
    read::{Body, VersionPath},
    refusal::{Code, Refusal},
    response::{self, JsonResponse},
};
use crate::schema::{self, Methods};
use axum::extract::State;
use krt_runtime::{memory::Reservation, offload};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::{Duration, Instant};
use tonic::Code as Grpc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    method: String,
    message: Box<RawValue>,
    timeout_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    ok: bool,
    code: &'static str,
    message: Option<String>,
    answer: Option<Box<RawValue>>,
    elapsed_ms: f64,
    request: Option<String>,
    /// The memory of the answer, reserved until it is written.
    #[serde(skip)]
    _held: Reservation,
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
) -> Result<JsonResponse<Outcome>, Refusal> {
    let timeout = match call.timeout_seconds {
        Some(seconds) => (0.001..=300.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds)),
        None => Some(Duration::MAX),
    };
    let timeout = timeout.ok_or_else(|| Refusal::invalid("`timeout_seconds` must be from 0.001 to 300"))?;
    let handle = app.backend().handle(&runtime, &version).await?;
    let handle = handle.ok_or_else(|| {
        Refusal::new(Code::Unavailable, format!("`{version}` does not run; hint: start it first"))
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
    Ok(response::ok(Outcome {
        ok: code == Grpc::Ok,
        code: name(code),
        message,
        answer,
        elapsed_ms: begun.elapsed().as_secs_f64() * 1e3,
        request: called.request.map(|id| id.to_string()),
        _held: held,
    }))
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
