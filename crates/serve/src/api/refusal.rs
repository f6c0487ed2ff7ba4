//! The one place that turns errors into answers.

use super::json::json;
use crate::team::UploadError;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use krt_api::error::{ErrorCode, Problem};
use krt_model::hint;
use krt_registry::Fault;
use miette::Diagnostic;
use std::{io, time::Duration};

/// The kind of a refusal, which decides its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    TooLarge,
    /// The same for a request's head.
    HeadTooLarge,
    Unsupported,
    InvalidPackage,
    Unprocessable,
    TooMany,
    Unavailable,
    Internal,
}

/// A refused request.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: Code,
    message: String,
    hint: Option<String>,
    problems: Vec<Problem>,
    wait: Option<Duration>,
}

impl Code {
    /// The kind, as the API names it.
    fn named(self) -> ErrorCode {
        match self {
            Self::Invalid => ErrorCode::Invalid,
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::Forbidden => ErrorCode::Forbidden,
            Self::NotFound => ErrorCode::NotFound,
            Self::MethodNotAllowed => ErrorCode::MethodNotAllowed,
            Self::Conflict => ErrorCode::Conflict,
            Self::TooLarge | Self::HeadTooLarge => ErrorCode::TooLarge,
            Self::Unsupported => ErrorCode::Unsupported,
            Self::InvalidPackage => ErrorCode::InvalidPackage,
            Self::Unprocessable => ErrorCode::Unprocessable,
            Self::TooMany => ErrorCode::TooMany,
            Self::Unavailable => ErrorCode::Unavailable,
            Self::Internal => ErrorCode::Internal,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidPackage | Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Refusal {
    /// The refusal of a caller who is not signed in.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "not signed in")
            .hint("sign in, or send `authorization: Bearer TOKEN`")
    }

    /// A refusal with a message.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, problems: Vec::new(), wait: None }
    }

    /// A refusal with an error's message and hints.
    pub(crate) fn of(code: Code, error: &dyn Diagnostic) -> Self {
        Self::new(code, error.to_string()).hints_of(error)
    }

    /// Sets the hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the hint to those of an error.
    fn hints_of(mut self, error: &dyn Diagnostic) -> Self {
        self.hint = Some(hint::hints(error).join("; ")).filter(|hint| !hint.is_empty());
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }

    pub(crate) fn read_only() -> Self {
        Self::new(Code::MethodNotAllowed, "`krt run` shows one package and changes nothing")
            .hint("use `krt serve`")
    }

    pub(crate) fn missing(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no {what}"))
    }

    pub(crate) fn wait(wait: Duration) -> Self {
        let mut refusal = Self::new(Code::TooMany, "too many attempts failed").hint("wait, then try again");
        refusal.wait = Some(wait);
        refusal
    }

    /// Logs an internal error; the caller learns only whether the disk is full.
    fn internal(error: &(dyn Diagnostic + 'static)) -> Self {
        tracing::error!("the API failed: {}", hint::chain(error));
        if is_disk_full(error) {
            return Self::new(Code::Unavailable, "the server's disk is full").hint("free some space there");
        }
        Self::new(Code::Internal, "the server failed").hint("its log says more")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { code, message, hint, problems, wait } = self;
        let status = code.status();
        let error = krt_api::Error { code: code.named(), message, hint, problems };
        let mut response = json(status, &error);
        if let Some(wait) = wait {
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let file = error.downcast_ref::<io::Error>();
        file.is_some_and(|error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }) || error.downcast_ref().is_some_and(krt_registry::Error::is_disk_full)
    })
}

fn of_fault(fault: Fault, error: &(dyn Diagnostic + 'static)) -> Refusal {
    let code = match fault {
        Fault::Missing => Code::NotFound,
        Fault::Conflict => Code::Conflict,
        Fault::Invalid => Code::Unprocessable,
        Fault::Denied => Code::Unauthenticated,
        Fault::Operator => return Refusal::internal(error),
    };
    Refusal::of(code, error)
}

impl From<krt_registry::Error> for Refusal {
    fn from(error: krt_registry::Error) -> Self {
        of_fault(error.fault(), &error)
    }
}

impl From<crate::Error> for Refusal {
    fn from(error: crate::Error) -> Self {
        if error.is_elsewhere() {
            tracing::error!("{}", hint::chain(&error));
            return Self::of(Code::Unavailable, &error);
        }
        of_fault(error.fault(), &error)
    }
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Invalid { report } => {
                let mut refusal = Self::new(Code::InvalidPackage, "the package has errors");
                refusal.problems = report.problems().iter().map(super::wire::problem).collect();
                refusal
            }
            UploadError::Registry(error) => error.into(),
            UploadError::Write(_) => Self::internal(&error),
            UploadError::Archive(error) => of_archive(&error),
            UploadError::Package(error @ krt_package::Error::Start(_)) => Self::internal(&error),
            UploadError::Package(error @ krt_package::Error::Ended { .. }) => {
                tracing::warn!("refused a package: {}", hint::chain(&error));
                Self::of(Code::InvalidPackage, &error)
            }
            UploadError::Package(error) => {
                Self::new(Code::InvalidPackage, format!("the package cannot be read: {error}"))
                    .hints_of(&error)
            }
        }
    }
}

fn of_archive(error: &krt_package::archive::Error) -> Refusal {
    use krt_package::archive::Error;
    match error {
        Error::Read(_) | Error::Write { .. } => Refusal::internal(error),
        _ => Refusal::new(Code::InvalidPackage, format!("the package cannot be unpacked: {error}"))
            .hints_of(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_a_field() {
        let error = krt_registry::Error::Runs { version: "v1".to_owned() };
        let refusal = Refusal::from(crate::Error::from(error));
        assert_eq!(
            (&*refusal.message, refusal.hint.as_deref()),
            ("`v1` runs", Some("stop the runtime's versions first"))
        );
        let refusal = Refusal::new(Code::Conflict, "there is a user `hint: me` already");
        assert_eq!((&*refusal.message, refusal.hint), ("there is a user `hint: me` already", None));
    }
}
