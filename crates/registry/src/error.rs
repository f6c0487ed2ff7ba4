//! The registry's errors, and whose fault they are.

use crate::state::Refused;
use std::{io, path::PathBuf};

/// The kind of a named object.
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

/// Why the registry refuses or fails.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// No such object exists.
    #[error("there is no {noun} `{name}`")]
    Missing {
        /// Its kind.
        noun: Noun,
        /// Its name.
        name: String,
    },
    /// The name is taken.
    #[error("there is a {noun} `{name}` already")]
    Taken {
        /// The kind of its owner.
        noun: Noun,
        /// The name.
        name: String,
    },
    /// The version's state does not allow it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Refused(#[from] Refused),
    /// Configuration values are missing.
    #[error("no value is given for {}", .missing.join(", "))]
    #[diagnostic(help("set it in the version's configuration"))]
    Incomplete {
        /// Their names.
        missing: Vec<String>,
    },
    /// The version has no such configuration.
    #[error("the version has no configuration {}", .unknown.join(", "))]
    Unknown {
        /// The names.
        unknown: Vec<String>,
    },
    /// A version of the runtime is running.
    #[error("`{version}` runs")]
    #[diagnostic(help("stop the runtime's versions first"))]
    Runs {
        /// The running version.
        version: String,
    },
    /// No earlier version was published.
    #[error("no other version of the runtime `{runtime}` was published before")]
    NothingBefore {
        /// The runtime.
        runtime: String,
    },
    /// The last enabled admin must stay.
    #[error("`{login}` is the last admin")]
    #[diagnostic(help("make another user an admin first"))]
    LastAdmin {
        /// The user.
        login: String,
    },
    /// The user has the most tokens allowed.
    #[error("`{login}` has {most} tokens, and there can be no more")]
    #[diagnostic(help("delete those that are not used"))]
    TooManyTokens {
        /// The user.
        login: String,
        /// The limit.
        most: usize,
    },
    /// Login or password is wrong, or the user is disabled; the caller does not learn which.
    #[error("login or password is wrong")]
    Denied,
    /// The provider's user is disabled here.
    #[error("the user `{login}` is disabled here")]
    Disabled {
        /// The user.
        login: String,
    },
    /// The password is easy to guess.
    #[error("the password is {why}")]
    #[diagnostic(help("take at least {min} characters, such as four random words"))]
    WeakPassword {
        /// Why it is.
        why: &'static str,
        /// The fewest characters.
        min: usize,
    },
    /// A text breaks a rule.
    #[error("the {what} must be {rule}")]
    Text {
        /// Which text.
        what: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// The role is above the caller's own.
    #[error("a token can be at most what its owner is")]
    TooMuch,
    /// A file or folder cannot be used.
    #[error("cannot use `{}`", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Other users can read the folder, and its mode cannot be changed.
    #[error("other users can open the data folder `{}` (mode {mode:o}), and it cannot be closed", path.display())]
    #[diagnostic(help("`chmod 700` as its owner, or choose another folder"))]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// Why the mode cannot be changed.
        source: io::Error,
    },
    /// Runtimes have data but no registry: a new one would orphan it.
    #[error("`{}` is missing or empty, and `runtimes` beside it has the data of {}", path.display(), .runtimes.join(", "))]
    #[diagnostic(help(
        "put the registry back or `krt restore` a backup; to begin without that data, move `runtimes` away"
    ))]
    NoRegistry {
        /// The registry's database.
        path: PathBuf,
        /// The runtimes that have data.
        runtimes: Vec<String>,
    },
    /// Another process holds the folder.
    #[error("the data folder `{}` is in use by another process", path.display())]
    #[diagnostic(help("stop it, or choose another folder"))]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A newer program wrote the database.
    #[error("`{}` has the format {found}, this program knows formats up to {known}", path.display())]
    #[diagnostic(help("use a newer krt"))]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        found: usize,
        /// The newest format that this program knows.
        known: usize,
    },
    /// The database failed.
    #[error("the registry's database failed")]
    Database(#[from] rusqlite::Error),
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// A password cannot be hashed.
    #[error("a password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The named object does not exist.
    Missing,
    /// The request conflicts with the current state.
    Conflict,
    /// The request breaks a rule.
    Invalid,
    /// The caller has no permission.
    Denied,
    /// The operator's: disk, database, or program version.
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
            | Self::TooManyTokens { .. }
            | Self::LastAdmin { .. } => Fault::Conflict,
            Self::Incomplete { .. }
            | Self::Unknown { .. }
            | Self::WeakPassword { .. }
            | Self::TooMuch
            | Self::Text { .. } => Fault::Invalid,
            Self::Denied | Self::Disabled { .. } => Fault::Denied,
            Self::File { .. }
            | Self::Open { .. }
            | Self::NoRegistry { .. }
            | Self::InUse { .. }
            | Self::Newer { .. }
            | Self::Database(_)
            | Self::Random(_)
            | Self::Hash(_) => Fault::Operator,
        }
    }

    /// Whether the cause is a full disk.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            Self::Database(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            _ => false,
        }
    }

    pub(crate) fn missing(noun: Noun, name: impl Into<String>) -> Self {
        Self::Missing { noun, name: name.into() }
    }

    pub(crate) fn taken(noun: Noun, name: impl Into<String>) -> Self {
        Self::Taken { noun, name: name.into() }
    }
}

/// Whether a statement failed because a name is taken.
pub(crate) fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}
