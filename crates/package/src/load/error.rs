//! Errors of loading a package.

use crate::archive::{self, NestedManifest};
use crate::problem::Report;
use crate::reading::Failure;
use crate::step::Step;
use std::io;
use std::path::PathBuf;

/// Why a package cannot be loaded.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
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
    #[error("`{}` has no `krt.yml`", path.display())]
    NoManifest {
        /// The folder.
        path: PathBuf,
        /// A folder in it with one.
        #[help]
        nested: Option<NestedManifest>,
    },
    /// The archive cannot be unpacked.
    #[error("cannot unpack `{}`", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The cause.
        #[source]
        #[diagnostic_source]
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
        #[diagnostic_source]
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
            Failure::NoManifest(path, nested) => {
                Self::NoManifest { path, nested: nested.map(NestedManifest) }
            }
            Failure::Archive(path, source) => Self::Archive { path, source },
        }
    }
}

/// Why a process ended before it had read a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum ReaderExit {
    /// It used too much processor time.
    #[error("took more than {limit} s")]
    Time {
        /// The limit, in seconds.
        limit: u64,
    },
    /// It used too much memory.
    #[error("needs more than {} MiB", limit >> 20)]
    Memory {
        /// The limit, in bytes.
        limit: u64,
    },
    /// It exhausted its stack.
    #[error("needs too much of the stack: something in it is nested too deep")]
    Depth,
    /// Its result is too large.
    #[error("gives more than {} MiB", limit >> 20)]
    Size {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The caller cancelled it.
    #[error("was given up")]
    Cancelled,
    /// It failed, because of a bug in this program.
    #[error("failed ({reason})")]
    #[diagnostic(help("this is a fault of krt: report it"))]
    Failed {
        /// Its message, or the signal that ended it.
        reason: String,
    },
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
}
