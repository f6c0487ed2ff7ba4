//! Try it: what can be called, and a call.

use super::{
    App,
    read::{Body, OfVersion},
    refusal::{Code, Refusal},
    told::{self, Told},
};
use crate::schema::{self, Methods};
use axum::extract::State;
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
}

pub(super) async fn methods(
    State(app): State<App>,
    OfVersion(runtime, version): OfVersion,
) -> Result<Told<Methods>, Refusal> {
    let package = app.house().package(&runtime, &version).await?;
    Ok(told::ok(schema::methods(&package)))
}

pub(super) async fn call(
    State(app): State<App>,
    OfVersion(runtime, version): OfVersion,
    Body(call): Body<Call>,
) -> Result<Told<Outcome>, Refusal> {
    let timeout = match call.timeout_seconds {
        Some(seconds) => (0.001..=300.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds)),
        None => Some(Duration::MAX),
    };
    let timeout = timeout.ok_or_else(|| Refusal::invalid("`timeout_seconds` must be from 0.001 to 300"))?;
    let way = app.house().way(&runtime, &version).await?;
    let way = way.ok_or_else(|| {
        Refusal::new(Code::Unavailable, format!("`{version}` does not run; hint: start it first"))
    })?;
    let begun = Instant::now();
    let called = way.door().call(&call.method, call.message.get().as_bytes(), timeout).await;
    let (code, message, answer) = match called.answer {
        Ok(answer) => (Grpc::Ok, None, serde_json::from_slice(&answer).ok()),
        Err(status) => (status.code(), Some(status.message().to_owned()), None),
    };
    Ok(told::ok(Outcome {
        ok: code == Grpc::Ok,
        code: name(code),
        message,
        answer,
        elapsed_ms: begun.elapsed().as_secs_f64() * 1e3,
        request: called.request.map(|id| id.to_string()),
    }))
}

/// A code's name, as gRPC's documents write it.
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
