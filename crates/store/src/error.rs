//! What can go wrong in the store, and whose fault it is.

use crate::{filter::FilterError, json::JsonError};
use std::{io, path::PathBuf};

/// Why the store cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder cannot be made or used.
    #[error("cannot use the data folder `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes there.
    #[error(
        "the data folder `{}` is in use by another process\nhint: stop it, or choose another folder",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to read.
    #[error("there is no store in `{}`\nhint: a store is made when a solution first runs there", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The file is not one of ours, or its content is damaged.
    #[error("`{}` is damaged or is no store\nhint: move it away to start with an empty one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Option<rusqlite::Error>,
    },
    /// A newer program wrote the file.
    #[error(
        "`{}` has the format {found}, this program knows formats up to {known}\nhint: use a newer krt, or another folder",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        found: i64,
        /// The newest format this program knows.
        known: i64,
    },
    /// The disk, or the store's own limit, is reached.
    #[error("`{}` cannot grow: the disk or the store's limit is full\nhint: free some space", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another failure of the database.
    #[error("cannot use the database `{}`", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A writer thread cannot be started.
    #[error("cannot start the store's writer")]
    Thread(#[source] io::Error),
    /// The writer was closed.
    #[error("the store is closed")]
    Closed,
    /// The collection has a document with this `_id`.
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
    /// The query cannot be understood.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The text is not a document.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A point cannot be stored, or points not summed up.
    #[error(transparent)]
    Point(#[from] PointError),
    /// The task that read the database did not end as it should.
    #[error("reading the store was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Why a document cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// No name.
    #[error("a collection's name must not be empty")]
    NoCollection,
    /// A name that MongoDB refuses, too.
    #[error("`{name}` cannot name a collection: it holds `$` or a NUL, or starts with `system.`")]
    Collection {
        /// The name.
        name: String,
    },
    /// Larger than BSON's limit.
    #[error("the document takes {size} bytes, a document has at most {max}")]
    TooLarge {
        /// Its size, bytes.
        size: usize,
        /// The limit, bytes.
        max: usize,
    },
    /// Nested too deeply.
    #[error("`{field}` is nested deeper than {max} levels")]
    TooDeep {
        /// The field at the limit.
        field: String,
        /// The limit.
        max: usize,
    },
    /// A value that cannot identify a document.
    #[error("`_id` cannot be {kind}")]
    Id {
        /// What it is.
        kind: &'static str,
    },
    /// Something else that BSON cannot hold.
    #[error("the document cannot be encoded: {reason}")]
    Encode {
        /// What the encoder said.
        reason: String,
    },
    /// A name of a field that BSON cannot hold.
    #[error("the field `{field}` has a NUL in its name")]
    FieldName {
        /// The field.
        field: String,
    },
}

/// Why points cannot be stored, or summed up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    /// No name.
    #[error("a measurement's name must not be empty")]
    NoName,
    /// Nothing measured.
    #[error("the measurement `{measurement}` has no fields")]
    NoFields {
        /// The measurement.
        measurement: String,
    },
    /// A field or a tag without a name.
    #[error("the measurement `{measurement}` has a field or tag with an empty name")]
    EmptyName {
        /// The measurement.
        measurement: String,
    },
    /// NaN or an infinity.
    #[error("the field `{field}` of `{measurement}` is not a finite number")]
    NotFinite {
        /// The measurement.
        measurement: String,
        /// The field.
        field: String,
    },
    /// Too many fields.
    #[error("the measurement `{measurement}` has {count} fields, a point has at most {max}")]
    TooManyFields {
        /// The measurement.
        measurement: String,
        /// How many it has.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A query over windows of time gives more than anybody can look at.
    #[error("the query gives more than {max} windows\nhint: ask for longer windows or a shorter time")]
    TooManyWindows {
        /// The limit.
        max: usize,
    },
    /// A name or a text that is too long.
    #[error("`{name}` of the measurement `{measurement}` takes {size} bytes, at most {max} are stored")]
    TooLong {
        /// The measurement.
        measurement: String,
        /// The field, or what else is too long.
        name: String,
        /// Its size, bytes.
        size: usize,
        /// The limit, bytes.
        max: usize,
    },
}

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Who asked: the document, the query or the point is wrong; asking again does not help.
    Caller,
    /// Who runs the store: folder, disk, version of the program.
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
