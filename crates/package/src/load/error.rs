//! Errors of loading a package.

use crate::archive;
use crate::problem::Report;
use crate::reading::Failure;
use crate::step::Step;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a package cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The folder has no `krt.yml`.
    #[error("`{}` has no `krt.yml`{}", path.display(), archive::nested_hint(nested.as_deref()))]
    NoManifest {
        /// The folder.
        path: PathBuf,
        /// A folder in it with one.
        nested: Option<PathBuf>,
    },
    /// The archive cannot be unpacked.
    #[error("cannot unpack `{}`", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The cause.
        #[source]
        source: archive::Error,
    },
    /// The package's files have errors.
    #[error("the package has {}", count(report.errors()))]
    Invalid {
        /// The errors and warnings.
        report: Box<Report>,
        /// The folder that the report's files are relative to.
        root: PathBuf,
    },
    /// The compiled files cannot be read, which the compiler should have reported.
    #[error("cannot read the compiled `.proto` files")]
    Descriptors {
        /// The cause.
        #[source]
        source: prost_reflect::DescriptorError,
    },
    /// The process to read the package cannot be started.
    #[error("cannot start the process that reads packages")]
    Start(#[source] io::Error),
    /// The process that reads the package ended early.
    #[error("the package could not be read: {step} {why}")]
    Ended {
        /// Its last step.
        step: Step,
        /// Why it ended.
        why: ReaderExit,
    },
    /// A node's executable cannot be made executable.
    #[error("cannot make `{}` executable", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Read(path, source) => Self::Read { path, source },
            Failure::NoManifest(path, nested) => Self::NoManifest { path, nested },
            Failure::Archive(path, source) => Self::Archive { path, source },
        }
    }
}

/// Why a process ended before it had read a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderExit {
    /// It used too much processor time.
    Time {
        /// The limit, in seconds.
        limit: u64,
    },
    /// It used too much memory.
    Memory {
        /// The limit, in bytes.
        limit: u64,
    },
    /// It exhausted its stack.
    Depth,
    /// Its result is too large.
    Size {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The caller cancelled it.
    Cancelled,
    /// It failed, because of a bug in this program.
    Failed {
        /// Its message, or the signal that ended it.
        reason: String,
    },
}

impl fmt::Display for ReaderExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time { limit } => write!(f, "took more than {limit} s"),
            Self::Memory { limit } => write!(f, "needs more than {} MiB", limit >> 20),
            Self::Depth => f.write_str("needs too much of the stack: something in it is nested too deep"),
            Self::Size { limit } => write!(f, "gives more than {} MiB", limit >> 20),
            Self::Cancelled => f.write_str("was given up"),
            Self::Failed { reason } => {
                write!(f, "failed ({reason})\nhint: this is a fault of krt: report it")
            }
        }
    }
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
}
