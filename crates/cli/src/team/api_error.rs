//! Errors from the server.

use super::{AuthSource, Server};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use krt_api::error;
use krt_model::{escape, hint};
use std::{fmt, iter};

/// An error of a server, formatted as a message.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum ApiError {
    /// The server refused the request.
    #[error("{message}")]
    Refused {
        message: String,
        #[help]
        hint: Option<String>,
    },
    /// The response does not come from a `krt serve` server.
    #[error("{message}")]
    #[diagnostic(help("the URL is that of `krt serve --dashboard`, on port 9001 by default"))]
    UnexpectedResponse { message: String },
}

crate::error::from! { hinted: ApiError }

impl ApiError {
    /// The error for a response that does not come from a `krt serve` server.
    pub(super) fn unexpected_response(server: &Server, why: impl fmt::Display) -> Self {
        Self::UnexpectedResponse { message: format!("`{server}` is not a `krt serve`: {why}") }
    }
}

/// The server's refusal.
pub(super) struct Refused<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: krt_api::Error,
}

impl Refused<'_> {
    /// Formats the refusal, with a hint.
    pub(super) fn to_error(&self, server: &Server, by: &AuthSource) -> ApiError {
        let (message, hint) = match (self.status, by) {
            (StatusCode::UNAUTHORIZED, AuthSource::Login(_)) => (
                format!("`{server}` does not take the token of `krt login` any more"),
                Some(format!("`krt login {server}`")),
            ),
            (StatusCode::UNAUTHORIZED, AuthSource::Variable(_)) => (
                format!(
                    "`{server}` does not take the token in KRT_TOKEN: it is wrong, has expired or was revoked"
                ),
                Some("`krt token create` makes one".to_owned()),
            ),
            _ => (self.message(), self.hint()),
        };
        ApiError::Refused { message, hint }
    }

    fn message(&self) -> String {
        let problems = self.body.problems.iter().map(|problem| format!("\n  {}", Problem(problem)));
        iter::once(escape::line(&self.body.message).into_owned()).chain(problems).collect()
    }

    fn hint(&self) -> Option<String> {
        let wait = self.headers.get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok());
        match wait {
            Some(seconds) => Some(format!("try again in {} s", escape::line(seconds))),
            None => self.body.hint.as_deref().map(|hint| escape::line(hint).into_owned()),
        }
    }
}

/// Formats a problem on one line: `krt.yml:4:11: what is wrong; hint: what to do`.
pub(crate) struct Problem<'a>(pub(crate) &'a error::Problem);

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error::Problem { file, line, column, message, hint, .. } = self.0;
        f.write_str(&escape::line(file))?;
        if let (Some(line), Some(column)) = (line, column) {
            write!(f, ":{line}:{column}")?;
        }
        let hint = hint.as_deref().map(escape::line);
        write!(f, ": {}", hint::on_one_line(escape::line(message), hint.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use krt_api::error::ErrorCode;
    use krt_model::severity::Severity;

    fn error(message: &str, hint: Option<&str>) -> krt_api::Error {
        let hint = hint.map(str::to_owned);
        krt_api::Error { code: ErrorCode::Conflict, message: message.to_owned(), hint, problems: Vec::new() }
    }

    fn message(status: StatusCode, body: krt_api::Error, by: &AuthSource) -> String {
        let server = "http://127.0.0.1:9001".parse().unwrap();
        let mut headers = HeaderMap::new();
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        hint::line(&Refused { status, body, headers: &headers }.to_error(&server, by))
    }

    #[test]
    fn messages_of_api_errors() {
        let problem = error::Problem {
            severity: Severity::Error,
            file: "krt.yml".to_owned(),
            line: Some(4),
            column: Some(2),
            message: "no".to_owned(),
            hint: Some("yes".to_owned()),
        };
        let invalid = krt_api::Error { problems: vec![problem], ..error("the package has errors", None) };
        let rows = [
            (StatusCode::CONFLICT, error("no", Some("do")), "no; hint: do"),
            (StatusCode::NOT_FOUND, error("\u{1b}[2J", None), "\\u{1b}[2J"),
            (
                StatusCode::TOO_MANY_REQUESTS,
                error("too many attempts failed", Some("wait")),
                "too many attempts failed; hint: try again in 60 s",
            ),
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                invalid,
                "the package has errors\n  krt.yml:4:2: no; hint: yes",
            ),
        ];
        for (status, body, expected) in rows {
            assert_eq!(message(status, body, &AuthSource::Anonymous), expected);
        }
    }

    #[test]
    fn rejected_tokens_name_their_source() {
        let body = error("not signed in", Some("sign in"));
        let message = |by| message(StatusCode::UNAUTHORIZED, body.clone(), &by);
        assert!(
            message(AuthSource::Login("t".to_owned())).contains("hint: `krt login http://127.0.0.1:9001`")
        );
        assert!(message(AuthSource::Variable("t".to_owned())).contains("KRT_TOKEN"));
        assert_eq!(message(AuthSource::Anonymous), "not signed in; hint: sign in");
    }
}
