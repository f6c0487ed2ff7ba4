//! Try it: lists the methods of a version, and calls one.

use super::{
    App,
    caller::Caller,
    read::{Body, VersionPath},
    refusal::{Code, Refusal},
    response::{self, JsonResponse},
};
use crate::{backend::VersionHandle, schema};
use axum::{
    extract::State,
    response::{Response, sse::Event},
};
use bytes::Bytes;
use futures::stream;
use krt_api::call::{Call, CallResult, Methods};
use krt_model::name::Name;
use krt_runtime::{ingress::CallStream, memory::Reservation, offload};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tonic::{Code as Grpc, Status};

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
    let timeout = timeout(&call)?;
    let handle = handle(&app, &runtime, &version).await?;
    let begun = Instant::now();
    let called = handle.ingress().call(&call.method, json(call.message), timeout).await;
    // Two more copies: the parsed value, and the response body.
    let mut held = handle.ingress().reserve();
    let (code, message, answer) = match called.answer {
        Ok(answer) if held.try_grow(2 * answer.len()).is_ok() => {
            (Grpc::Ok, None, offload::run(answer.len(), || serde_json::from_slice(&answer).ok()).await)
        }
        Ok(answer) => {
            let refused = too_large(&answer);
            (refused.code(), Some(refused.message().to_owned()), None)
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

pub(super) async fn live(
    State(app): State<App>,
    caller: Caller,
    VersionPath(runtime, version): VersionPath,
    Body(call): Body<Call>,
) -> Result<Response, Refusal> {
    let timeout = timeout(&call)?;
    let handle = handle(&app, &runtime, &version).await?;
    let begun = Instant::now();
    let opened = handle.ingress().open(&call.method, json(call.message), timeout).await;
    let call = LiveCall { handle, begun, request: None, held: None, next: Next::Begin(opened) };
    Ok(response::live(&app, &caller, stream::unfold(call, LiveCall::event)))
}

/// A call whose answer is shown message by message. Dropped before the end, it is cancelled.
#[derive(Debug)]
struct LiveCall {
    handle: VersionHandle,
    begun: Instant,
    request: Option<Arc<str>>,
    /// The memory of the message that is being written.
    held: Option<Reservation>,
    next: Next,
}

/// What comes next of a call.
#[derive(Debug)]
enum Next {
    Begin(Result<CallStream, Status>),
    Messages(CallStream),
    Nothing,
}

impl LiveCall {
    async fn event(mut self) -> Option<(Event, Self)> {
        self.held = None;
        let event = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Begin(Ok(opened)) => {
                let id = self.request.insert(Arc::clone(opened.request()));
                let event = response::event("request", &**id);
                self.next = Next::Messages(opened);
                event
            }
            Next::Begin(Err(status)) => self.status(Some(&status)),
            Next::Messages(mut messages) => match messages.next().await {
                Ok(Some(message)) => match self.message(&message) {
                    Ok(event) => {
                        self.next = Next::Messages(messages);
                        event
                    }
                    Err(refused) => self.status(Some(&refused)),
                },
                Ok(None) => self.status(None),
                Err(status) => self.status(Some(&status)),
            },
            Next::Nothing => return None,
        };
        Some((event, self))
    }

    fn message(&mut self, message: &Bytes) -> Result<Event, Status> {
        // Two more copies: the event, and the response body.
        let mut held = self.handle.ingress().reserve();
        held.try_grow(2 * message.len()).map_err(|_| too_large(message))?;
        self.held = Some(held);
        Ok(Event::default().event("message").data(String::from_utf8_lossy(message)))
    }

    fn status(&self, status: Option<&Status>) -> Event {
        let code = status.map_or(Grpc::Ok, Status::code);
        let result = CallResult {
            ok: code == Grpc::Ok,
            code: name(code).to_owned(),
            message: status.map(|status| status.message().to_owned()),
            answer: None,
            elapsed_ms: self.begun.elapsed().as_secs_f64() * 1e3,
            request: self.request.as_deref().map(str::to_owned),
        };
        response::event("status", &result)
    }
}

/// How long a call may take.
fn timeout(call: &Call) -> Result<Duration, Refusal> {
    let timeout = match call.timeout_seconds {
        Some(seconds) => (0.001..=300.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds)),
        None => Some(Duration::MAX),
    };
    timeout.ok_or_else(|| Refusal::invalid("`timeout_seconds` must be from 0.001 to 300"))
}

async fn handle(app: &App, runtime: &Name, version: &Name) -> Result<VersionHandle, Refusal> {
    let handle = app.backend().handle(runtime, version).await?;
    handle.ok_or_else(|| {
        Refusal::new(Code::Unavailable, format!("`{version}` does not run")).hint("start it first")
    })
}

fn json(message: Box<RawValue>) -> Bytes {
    let text: Box<str> = message.into();
    String::from(text).into()
}

fn too_large(answer: &Bytes) -> Status {
    Status::resource_exhausted(format!("an answer of {} bytes is too large to show", answer.len()))
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
