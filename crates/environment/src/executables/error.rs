//! Why a node has no executable.

use super::{diagnostic::Diagnostic, toolchain_of};
use krt_model::language::Language;
use std::{fmt, io, path::PathBuf, process::ExitStatus};

/// Why a node that is compiled has no executable.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum BuildError {
    /// The compiler is missing.
    #[error("found no `{}` to build node `{node}` from `{}`", .builder, .folder.display())]
    #[diagnostic(help("install {needed}, or build the package where it is with `krt pack`"))]
    NoBuilder {
        /// The node.
        node: String,
        /// The build tool.
        builder: &'static str,
        /// The build tool to install, and where from.
        needed: &'static str,
        /// The folder of its sources.
        folder: PathBuf,
    },
    /// The build failed.
    #[error("cannot build node `{node}` from `{}`: `{}` ended with {status}{}", .folder.display(), toolchain_of(*language).builder, Lines(output))]
    Build {
        /// The node.
        node: String,
        /// Its language.
        language: Language,
        /// The folder of its sources.
        folder: PathBuf,
        /// The compiler's status.
        status: ExitStatus,
        /// The compiler's last lines, or all if they are few.
        output: Vec<String>,
        /// The remedy, if known.
        #[help]
        hint: Option<String>,
    },
    /// A module of the sources is not at its place.
    #[error("cannot build node `{node}`: {}:{line}: {message}", .file.display())]
    Module {
        /// The node.
        node: String,
        /// The file that refers to the module.
        file: PathBuf,
        /// The line in it, from 1.
        line: usize,
        /// The problem.
        message: String,
        /// The remedy.
        #[help]
        hint: String,
    },
    /// The sources build no executable, or several without the node's name.
    #[error("`{}` makes {}, not one for node `{node}`", .folder.display(), BuiltNames(made))]
    #[diagnostic(help("name one as `src` in krt.yml, or as the node"))]
    NotOne {
        /// The node.
        node: String,
        /// The folder of its sources.
        folder: PathBuf,
        /// The names of the executables.
        made: Vec<String>,
    },
    /// The compiler cannot be started.
    #[error("cannot start `{}`", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A source cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The cache, which holds the embedded SDK, cannot be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cache(Box<crate::Error>),
}

impl BuildError {
    /// The compiler's errors, if the build failed by some with a place.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            Self::Build { language, output, .. } => (toolchain_of(*language).diagnostics)(output),
            _ => Vec::new(),
        }
    }
}

/// The executables that were built.
struct BuiltNames<'a>(&'a [String]);

impl fmt::Display for BuiltNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("no executable"),
            made => write!(f, "the executables `{}`", made.join("`, `")),
        }
    }
}

/// The compiler's output.
struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
