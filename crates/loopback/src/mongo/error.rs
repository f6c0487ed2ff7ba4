//! Errors of commands, with MongoDB's codes and names
//! ([list](https://www.mongodb.com/docs/manual/reference/error-codes/)).

use bson::{Document, doc};
use krt_model::hint;

/// Why a command fails.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(super) enum CommandError {
    #[error("command {command} requires authentication")]
    Unauthorized { command: String },
    #[error("Authentication failed.")]
    Authentication,
    #[error("the mechanism `{mechanism}` is not supported")]
    #[diagnostic(help("SCRAM-SHA-256"))]
    Mechanism { mechanism: String },
    #[error("no such command: '{command}'")]
    NotFound { command: String },
    #[error("{what} is not supported by krt's embedded store, which saves and finds documents")]
    #[diagnostic(help("give krt a MongoDB server with --mongo"))]
    NotSupported { what: String },
    #[error("the field `{command}.{field}` is unknown")]
    UnknownField { command: &'static str, field: String },
    #[error("`{command}.{field}` must be {expected}")]
    Type { command: &'static str, field: &'static str, expected: &'static str },
    #[error("{0}")]
    BadValue(String),
    #[error("krt's embedded store has the database `{known}` only, not `{database}`")]
    Database { database: String, known: String },
    #[error("`{name}` cannot name a collection")]
    Collection { name: String },
    #[error("cursor id {id} not found")]
    Cursor { id: i64 },
    #[error("{open} cursors are open")]
    #[diagnostic(help("read them to their end or close them"))]
    Cursors { open: usize },
    #[error("sorting needs more than {limit} MiB")]
    #[diagnostic(help("a narrower filter, or a limit"))]
    Sort { limit: usize },
    #[error("operation exceeded time limit")]
    Time,
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] krt_store::Error),
}

impl CommandError {
    pub(super) fn reply(&self) -> Document {
        let (code, name) = self.code();
        doc! { "ok": 0.0, "errmsg": hint::line(self), "code": code, "codeName": name }
    }

    /// MongoDB's code and name.
    pub(super) fn code(&self) -> (i32, &'static str) {
        match self {
            Self::Unauthorized { .. } => (13, "Unauthorized"),
            Self::Authentication => (18, "AuthenticationFailed"),
            Self::Mechanism { .. } => (334, "MechanismUnavailable"),
            Self::NotFound { .. } => (59, "CommandNotFound"),
            Self::NotSupported { .. } => (115, "CommandNotSupported"),
            Self::UnknownField { .. } => (40415, "IDLUnknownField"),
            Self::Type { .. } => (14, "TypeMismatch"),
            Self::BadValue(_) => (2, "BadValue"),
            Self::Database { .. } | Self::Collection { .. } => (73, "InvalidNamespace"),
            Self::Cursor { .. } => (43, "CursorNotFound"),
            Self::Cursors { .. } => (146, "ExceededMemoryLimit"),
            Self::Sort { .. } => (292, "QueryExceededMemoryLimitNoDiskUseAllowed"),
            Self::Time => (50, "MaxTimeMSExpired"),
            Self::Store(error) => store_code(error),
        }
    }
}

fn store_code(error: &krt_store::Error) -> (i32, &'static str) {
    use krt_store::{DocumentError, Error};
    match error {
        Error::Duplicate { .. } => (11000, "DuplicateKey"),
        Error::Document(DocumentError::TooLarge { .. }) => (10334, "BSONObjectTooLarge"),
        Error::Document(DocumentError::NoCollection | DocumentError::Collection { .. }) => {
            (73, "InvalidNamespace")
        }
        Error::Document(_) | Error::Filter(_) | Error::Json(_) | Error::Point(_) => (2, "BadValue"),
        Error::Full { .. } => (14031, "OutOfDiskSpace"),
        Error::Closed => (91, "ShutdownInProgress"),
        _ => (1, "InternalError"),
    }
}
