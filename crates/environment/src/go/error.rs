//! Why a node in Go has no executable.

use std::{fmt, io, path::PathBuf, process::ExitStatus};

/// Why a node in Go has no executable.
#[derive(Debug, thiserror::Error)]
pub enum GoError {
    /// There is no `go`.
    #[error(
        "found no `go` to build node `{node}` from `{}`\nhint: install Go 1.20 or newer (https://go.dev/dl), or build the package where it is with `krt pack`",
        .folder.display()
    )]
    NoGo {
        /// The node.
        node: String,
        /// The folder of its sources.
        folder: PathBuf,
    },
    /// The sources do not build.
    #[error("cannot build node `{node}` from `{}`: `go` ended with {status}{}", .folder.display(), Lines(output))]
    Build {
        /// The node.
        node: String,
        /// The folder of its sources.
        folder: PathBuf,
        /// How the compiler ended.
        status: ExitStatus,
        /// The compiler's last lines; all of them where they are few.
        output: Vec<String>,
    },
    /// The compiler could not be started.
    #[error("cannot start `{}`", .go.display())]
    Start {
        /// What was to be run.
        go: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A source cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The cache cannot be written, with the embedded SDK in it.
    #[error(transparent)]
    Cache(Box<crate::Error>),
}

/// What the compiler wrote.
struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
