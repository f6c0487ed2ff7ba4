//! The store's errors, and whose fault they are.

use crate::{filter::FilterError, json::JsonError};
use std::{io, path::PathBuf};

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// The folder cannot be created or used.
    #[error("cannot use the data folder `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process writes to the store.
    #[error("the data folder `{}` is in use by another process", path.display())]
    #[diagnostic(help("stop it, or choose another folder"))]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// There is no store to read.
    #[error("there is no store in `{}`", path.display())]
    #[diagnostic(help("a store is made when a solution first runs there"))]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The file is not ours, or is damaged.
    #[error("`{}` is damaged or is not a store", path.display())]
    #[diagnostic(help("move it away to start with an empty one"))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: Option<rusqlite::Error>,
    },
    /// A newer program wrote the file.
    #[error("`{}` has the format {found}, this program knows formats up to {known}", path.display())]
    #[diagnostic(help("use a newer krt, or another folder"))]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The disk is full, or the store's own limit is reached.
    #[error("`{}` cannot grow: the disk or the store's limit is full", path.display())]
    #[diagnostic(help("free some space"))]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another failure of the database.
    #[error("cannot use the database `{}`", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// A writer thread cannot be started.
    #[error("cannot start the store's writer")]
    Thread(#[source] io::Error),
    /// The writer was closed.
    #[error("the store is closed")]
    Closed,
    /// The collection already has a document with this `_id`.
    #[error("the collection `{collection}` has a document with the `_id` {id} already")]
    Duplicate {
        /// The collection.
        collection: String,
        /// The `_id`, as JSON.
        id: String,
    },
    /// The document cannot be stored.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The query is not valid.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The text is not a document.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A point cannot be stored, or points cannot be aggregated.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Point(#[from] PointError),
    /// The task that read the database panicked or was cancelled.
    #[error("reading the store was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Why a document cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The collection's name is empty.
    #[error("a collection's name must not be empty")]
    NoCollection,
    /// A name that MongoDB refuses, too.
    #[error("`{name}` cannot name a collection: it holds `$` or a NUL, or starts with `system.`")]
    Collection {
        /// The name.
        name: String,
    },
    /// It is larger than BSON's limit.
    #[error("the document takes {size} bytes, a document has at most {max}")]
    TooLarge {
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// It is nested too deeply.
    #[error("`{field}` is nested deeper than {max} levels")]
    TooDeep {
        /// The field at the limit.
        field: String,
        /// The limit.
        max: usize,
    },
    /// Its `_id` is a value that cannot identify a document.
    #[error("`_id` cannot be {kind}")]
    Id {
        /// The value's kind.
        kind: &'static str,
    },
    /// BSON cannot hold it.
    #[error("the document cannot be encoded: {reason}")]
    Encode {
        /// The encoder's error.
        reason: String,
    },
    /// BSON cannot hold a field's name.
    #[error("the field `{field}` has a NUL in its name")]
    FieldName {
        /// The field.
        field: String,
    },
}

/// Why points cannot be stored or aggregated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum PointError {
    /// The measurement has no name.
    #[error("a measurement's name must not be empty")]
    NoName,
    /// The point has no fields.
    #[error("the measurement `{measurement}` has no fields")]
    NoFields {
        /// The measurement.
        measurement: String,
    },
    /// A field or a tag has no name.
    #[error("the measurement `{measurement}` has a field or tag with an empty name")]
    EmptyName {
        /// The measurement.
        measurement: String,
    },
    /// A value is NaN or infinite.
    #[error("the field `{field}` of `{measurement}` is not a finite number")]
    NotFinite {
        /// The measurement.
        measurement: String,
        /// The field.
        field: String,
    },
    /// The point has too many fields.
    #[error("the measurement `{measurement}` has {count} fields, a point has at most {max}")]
    TooManyFields {
        /// The measurement.
        measurement: String,
        /// Its number of fields.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The query would return too many windows.
    #[error("the query gives more than {max} windows")]
    #[diagnostic(help("ask for longer windows or a shorter time"))]
    TooManyWindows {
        /// The limit.
        max: usize,
    },
    /// A name or a text is too long.
    #[error("`{name}` of the measurement `{measurement}` takes {size} bytes, at most {max} are stored")]
    TooLong {
        /// The measurement.
        measurement: String,
        /// The field, or the name of the part that is too long.
        name: String,
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The caller's: the document, query or point is wrong, and a retry does not help.
    Caller,
    /// The operator's: folder, disk, or program version.
    Operator,
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Duplicate { .. } | Self::Document(_) | Self::Filter(_) | Self::Json(_) | Self::Point(_) => {
                Fault::Caller
            }
            Self::Folder { .. }
            | Self::InUse { .. }
            | Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::Newer { .. }
            | Self::Full { .. }
            | Self::Database { .. }
            | Self::Thread(_)
            | Self::Closed
            | Self::Interrupted(_) => Fault::Operator,
        }
    }
}
