//! Formats the status of failed calls.

use tonic::{Code, Status};

/// Formats a status as `INTERNAL: error in 'etl': …`.
pub(crate) fn describe(status: &Status) -> String {
    match status.message() {
        "" => name(status.code()).to_owned(),
        message => format!("{}: {message}", name(status.code())),
    }
}

/// Whether the server, or the requested version, is starting, so that a retry makes sense.
pub(crate) fn is_starting(status: &Status) -> bool {
    status.code() == Code::Unavailable && status.message().ends_with(" is starting")
}

/// A code's name in the gRPC specification.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_starting_services_are_waited_for() {
        for (status, expected) in [
            (Status::unavailable("the service is starting"), true),
            (Status::unavailable("the version `v2` of the runtime `shop` is starting"), true),
            (Status::unavailable("the service is stopping"), false),
            (Status::unavailable("the version `v2` of the runtime `shop` does not run"), false),
            (Status::unavailable("node 'etl' is down: it is being restarted"), false),
            (Status::internal("error in 'etl': the model is starting"), false),
        ] {
            assert_eq!(is_starting(&status), expected, "{status:?}");
        }
    }
}
