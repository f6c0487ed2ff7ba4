//! Why a node has no executable.

use krt_model::version::Language;
use std::{fmt, io, path::PathBuf, process::ExitStatus};

/// Why a node in Go or Rust has no executable.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is nothing to build it with.
    #[error(
        "found no `{}` to build node `{node}` from `{}`\nhint: install {}, or build the package where it is with `krt pack`",
        .language.builder(),
        .folder.display(),
        compiler(*language)
    )]
    NoBuilder {
        /// The node.
        node: String,
        /// What it is written in.
        language: Language,
        /// The folder of its sources.
        folder: PathBuf,
    },
    /// The sources do not build.
    #[error("cannot build node `{node}` from `{}`: `{}` ended with {status}{}", .folder.display(), .language.builder(), Lines(output))]
    Build {
        /// The node.
        node: String,
        /// What it is written in.
        language: Language,
        /// The folder of its sources.
        folder: PathBuf,
        /// How the compiler ended.
        status: ExitStatus,
        /// The compiler's last lines; all of them where they are few.
        output: Vec<String>,
    },
    /// The sources make no executable, or several of which none has the node's name.
    #[error(
        "`{}` makes {}, not one for node `{node}`\nhint: name one as `src` in krt.yml, or as the node",
        .folder.display(),
        Made(made)
    )]
    NotOne {
        /// The node.
        node: String,
        /// The folder of its sources.
        folder: PathBuf,
        /// The names of the executables.
        made: Vec<String>,
    },
    /// The compiler could not be started.
    #[error("cannot start `{}`", .program.display())]
    Start {
        /// What was to be run.
        program: PathBuf,
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

/// What is to be installed.
fn compiler(language: Language) -> &'static str {
    match language {
        Language::Go => "Go 1.20 or newer (https://go.dev/dl)",
        Language::Rust => "Rust 1.91 or newer (https://rustup.rs)",
    }
}

/// The executables that were made.
struct Made<'a>(&'a [String]);

impl fmt::Display for Made<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("no executable"),
            made => write!(f, "the executables `{}`", made.join("`, `")),
        }
    }
}

/// What the compiler wrote.
struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
