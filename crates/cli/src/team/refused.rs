//! What the server says against something.

use http::StatusCode;
use serde_json::Value;
use std::fmt;

/// Why the server does not do it.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    said: Value,
}

impl Refused {
    pub(super) fn new(status: StatusCode, said: Value) -> Self {
        Self { status, said }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.said["message"].as_str() {
            Some(message) => f.write_str(message)?,
            None => write!(f, "the server answered {}", self.status)?,
        }
        for problem in self.said["problems"].as_array().into_iter().flatten() {
            write!(f, "\n  {}", Problem(problem))?;
        }
        match (self.said["hint"].as_str(), self.status) {
            (_, StatusCode::UNAUTHORIZED) => f.write_str("; hint: sign in by `krt login`"),
            (Some(hint), _) => write!(f, "; hint: {hint}"),
            (None, _) => Ok(()),
        }
    }
}

/// On one line: `krt.yml:4:11: what is wrong; hint: what to do`.
struct Problem<'a>(&'a Value);

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: &str| self.0[name].as_str().unwrap_or_default();
        f.write_str(text("file"))?;
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
    use serde_json::json;

    #[test]
    fn what_is_told() {
        let problem = json!({"file": "krt.yml", "line": 4, "column": 2, "message": "no", "hint": "yes"});
        let rows = [
            (StatusCode::CONFLICT, json!({"message": "no", "hint": "do"}), "no; hint: do"),
            (StatusCode::BAD_GATEWAY, Value::Null, "the server answered 502 Bad Gateway"),
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({"message": "the package has errors", "problems": [problem]}),
                "the package has errors\n  krt.yml:4:2: no; hint: yes",
            ),
        ];
        for (status, said, expected) in rows {
            assert_eq!(Refused::new(status, said).to_string(), expected);
        }
    }
}
