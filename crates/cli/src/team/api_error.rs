//! Errors from the server.

use super::{AuthSource, Server};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use krt_model::escape;
use serde_json::Value;
use std::fmt;

/// A refused request, formatted as a message.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ApiError(String);

impl ApiError {
    /// The error for a response that does not come from a `krt serve` server.
    pub(super) fn stranger(server: &Server, said: impl fmt::Display) -> Self {
        Self(format!(
            "`{server}` is not a `krt serve`: {said}\nhint: the URL is that of `krt serve --dashboard`, on port \
             9001 unless it was told another"
        ))
    }
}

/// The server's refusal.
pub(super) struct Refused<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) said: Value,
}

impl Refused<'_> {
    /// Formats the refusal, with a hint.
    pub(super) fn tell(&self, server: &Server, by: &AuthSource) -> ApiError {
        ApiError(match (self.status, by) {
            (StatusCode::UNAUTHORIZED, AuthSource::Login(_)) => format!(
                "`{server}` does not take the token of `krt login` any more\nhint: `krt login {server}`"
            ),
            (StatusCode::UNAUTHORIZED, AuthSource::Variable(_)) => format!(
                "`{server}` does not take the token in KRT_TOKEN: it is wrong, has expired or was revoked\n\
                 hint: `krt token create` makes one"
            ),
            _ => self.to_string(),
        })
    }
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.said["message"].as_str() {
            Some(message) => f.write_str(&escape::line(message))?,
            None => write!(f, "the server answered {}", self.status)?,
        }
        for problem in self.said["problems"].as_array().into_iter().flatten() {
            write!(f, "\n  {}", Problem(problem))?;
        }
        let wait = self.headers.get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok());
        match (wait, self.said["hint"].as_str()) {
            (Some(seconds), _) => write!(f, "\nhint: try again in {} s", escape::line(seconds)),
            (None, Some(hint)) => write!(f, "\nhint: {}", escape::line(hint)),
            (None, None) => Ok(()),
        }
    }
}

/// Formats a problem on one line: `krt.yml:4:11: what is wrong; hint: what to do`.
pub(crate) struct Problem<'a>(pub(crate) &'a Value);

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: &str| escape::line(self.0[name].as_str().unwrap_or_default());
        f.write_str(&text("file"))?;
        if let (Some(line), Some(column)) = (self.0["line"].as_u64(), self.0["column"].as_u64()) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", text("message"))?;
        if text("hint").is_empty() { Ok(()) } else { write!(f, "; hint: {}", text("hint")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use serde_json::json;

    fn message(status: StatusCode, said: Value, by: &AuthSource) -> String {
        let server = "http://127.0.0.1:9001".parse().unwrap();
        let mut headers = HeaderMap::new();
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        Refused { status, said, headers: &headers }.tell(&server, by).to_string()
    }

    #[test]
    fn what_is_told() {
        let problem = json!({"file": "krt.yml", "line": 4, "column": 2, "message": "no", "hint": "yes"});
        let rows = [
            (StatusCode::CONFLICT, json!({"message": "no", "hint": "do"}), "no\nhint: do"),
            (StatusCode::BAD_GATEWAY, json!({}), "the server answered 502 Bad Gateway"),
            (StatusCode::NOT_FOUND, json!({"message": "\u{1b}[2J"}), "\\u{1b}[2J"),
            (
                StatusCode::TOO_MANY_REQUESTS,
                json!({"message": "too many attempts failed", "hint": "wait"}),
                "too many attempts failed\nhint: try again in 60 s",
            ),
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({"message": "the package has errors", "problems": [problem]}),
                "the package has errors\n  krt.yml:4:2: no; hint: yes",
            ),
        ];
        for (status, said, expected) in rows {
            assert_eq!(message(status, said, &AuthSource::Nobody), expected);
        }
    }

    #[test]
    fn where_a_token_came_from_that_is_not_taken() {
        let said = json!({"message": "not signed in", "hint": "sign in"});
        let message = |by| message(StatusCode::UNAUTHORIZED, said.clone(), &by);
        assert!(
            message(AuthSource::Login("t".to_owned())).contains("hint: `krt login http://127.0.0.1:9001`")
        );
        assert!(message(AuthSource::Variable("t".to_owned())).contains("KRT_TOKEN"));
        assert_eq!(message(AuthSource::Nobody), "not signed in\nhint: sign in");
    }
}
