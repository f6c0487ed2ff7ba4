//! The one place where failures become statuses: of gRPC, of HTTP, of the Connect protocol.

use crate::traces::Fault;
use http::StatusCode;
use krt_model::outcome::{Failure, Kind};
use tonic::{Code, Status};

/// What a client is told of a failure (KRT v1, "Entrypoint").
pub(super) fn of_failure(failure: &Failure) -> Status {
    let code = match failure.kind() {
        Kind::Handler | Kind::Died | Kind::WrongType | Kind::Lost => Code::Internal,
        Kind::Deadline | Kind::HandlerTimeout => Code::DeadlineExceeded,
        Kind::QueueFull | Kind::TooLarge => Code::ResourceExhausted,
        Kind::Down | Kind::NotServing | Kind::Disconnected => Code::Unavailable,
    };
    Status::new(code, failure.to_string())
}

/// The code's name in the Connect protocol.
pub(super) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "canceled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// What a trace is told of a call that ended with a status.
pub(super) fn fault(status: &Status) -> Fault<'_> {
    Fault { code: status.code() as i32, name: name(status.code()), words: status.message() }
}

/// The code as an HTTP status (Connect protocol, "Error codes").
pub(super) fn http(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::from_u16(499).expect("499 is within the range of statuses"),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
