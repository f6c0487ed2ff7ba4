//! What can go wrong in the registry, and whose fault it is.

use crate::state::Refused;
use std::{io, path::PathBuf};

/// What something is that is asked for by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// A runtime.
    Runtime,
    /// A version.
    Version,
    /// A user.
    User,
    /// A token.
    Token,
    /// A session.
    Session,
    /// A board.
    Board,
    /// A host name.
    Host,
}

impl std::fmt::Display for Noun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Runtime => "runtime",
            Self::Version => "version",
            Self::User => "user",
            Self::Token => "token",
            Self::Session => "session",
            Self::Board => "board",
            Self::Host => "host name",
        })
    }
}

/// Why the registry does not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {noun} `{name}`")]
    Missing {
        /// What it would be.
        noun: Noun,
        /// Its name.
        name: String,
    },
    /// The name is another's.
    #[error("there is a {noun} `{name}` already")]
    Taken {
        /// What has it.
        noun: Noun,
        /// The name.
        name: String,
    },
    /// The version's state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Values of configuration that are missing.
    #[error("no value is given for {}\nhint: set it in the version's configuration", .missing.join(", "))]
    Incomplete {
        /// Their names.
        missing: Vec<String>,
    },
    /// Names of configuration that the version does not have.
    #[error("the version has no configuration {}", .unknown.join(", "))]
    Unknown {
        /// The names.
        unknown: Vec<String>,
    },
    /// A runtime of which something runs.
    #[error("`{version}` runs\nhint: stop the runtime's versions first")]
    Runs {
        /// A version that runs.
        version: String,
    },
    /// No version was published before.
    #[error("no other version of the runtime `{runtime}` was published before")]
    NothingBefore {
        /// The runtime.
        runtime: String,
    },
    /// The last who may let others in.
    #[error("`{login}` is the last admin\nhint: make somebody else an admin first")]
    LastAdmin {
        /// Who it is.
        login: String,
    },
    /// Login or password is wrong, or the user is disabled; which of them is not told.
    #[error("login or password is wrong")]
    Denied,
    /// A user whom the provider vouches for is disabled here.
    #[error("the user `{login}` is disabled here")]
    Disabled {
        /// Who it is.
        login: String,
    },
    /// A password that is easily found.
    #[error("the password is {why}\nhint: take at least {min} characters", min = crate::password::MIN)]
    WeakPassword {
        /// Why it is.
        why: &'static str,
    },
    /// A text that breaks a rule.
    #[error("the {what} must be {rule}")]
    Text {
        /// Which text.
        what: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// A role above one's own.
    #[error("a token can be at most what its owner is")]
    TooMuch,
    /// A file or folder that cannot be used.
    #[error("cannot use `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has the folder.
    #[error(
        "the data folder `{}` is in use by another process\nhint: stop it, or choose another folder",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A newer program made the database.
    #[error("`{}` has the format {found}, this program knows formats up to {known}\nhint: use a newer krt", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        found: usize,
        /// The newest format this program knows.
        known: usize,
    },
    /// The database failed.
    #[error("the registry's database failed")]
    Database(#[from] rusqlite::Error),
    /// The system has no randomness to give.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// A password cannot be hashed.
    #[error("a password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was named is not there.
    Missing,
    /// What was asked for does not go with what is.
    Conflict,
    /// What was sent breaks a rule.
    Invalid,
    /// Who asks may not.
    Denied,
    /// Who runs the server: disk, database, version of the program.
    Operator,
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Missing { .. } => Fault::Missing,
            Self::Taken { .. }
            | Self::Refused(_)
            | Self::Runs { .. }
            | Self::NothingBefore { .. }
            | Self::LastAdmin { .. } => Fault::Conflict,
            Self::Incomplete { .. }
            | Self::Unknown { .. }
            | Self::WeakPassword { .. }
            | Self::TooMuch
            | Self::Text { .. } => Fault::Invalid,
            Self::Denied | Self::Disabled { .. } => Fault::Denied,
            Self::File { .. }
            | Self::InUse { .. }
            | Self::Newer { .. }
            | Self::Database(_)
            | Self::Random(_)
            | Self::Hash(_) => Fault::Operator,
        }
    }

    pub(crate) fn missing(noun: Noun, name: impl Into<String>) -> Self {
        Self::Missing { noun, name: name.into() }
    }

    pub(crate) fn taken(noun: Noun, name: impl Into<String>) -> Self {
        Self::Taken { noun, name: name.into() }
    }
}

/// Whether a statement failed because a name is another's.
pub(crate) fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}
