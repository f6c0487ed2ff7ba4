//! Errors, with messages that a user can act on.

use crate::{event::Tool, finding::Finding};
use pep440_rs::Version;
use std::{fmt, io, path::PathBuf, process::ExitStatus};

/// What to do where the cache cannot be written.
pub(crate) const CACHE_HINT: &str = "`KRT_CACHE` names another folder for what is kept between runs";

/// Why an environment cannot be created. Credentials in addresses are masked.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// No suitable interpreter was found.
    #[error("found no {wanted}{}", Candidates(candidates))]
    #[diagnostic(help(
        "install Python 3.7 or newer, or name one with `--python` (a path, a command or a version such as 3.12)"
    ))]
    NoPython {
        /// The interpreter wanted.
        wanted: String,
        /// The interpreters found, and why each does not fit.
        candidates: Vec<(PathBuf, String)>,
    },
    /// A file requires another version of the interpreter.
    #[error("`{}` asks for Python `{requires}`, and `{}` is {version}", .file.display(), .python.display())]
    #[diagnostic(help("{}", InterpreterHint(found)))]
    RequiresPython {
        /// The file.
        file: PathBuf,
        /// The required version.
        requires: String,
        /// The interpreter.
        python: PathBuf,
        /// The interpreter's version.
        version: Version,
        /// Another interpreter that fits.
        found: Option<PathBuf>,
    },
    /// Nodes import modules that no package provides.
    #[error("{}", Findings(.0))]
    Undeclared(#[related] Vec<Finding>),
    /// A file's encoding is unknown.
    #[error("`{}` {problem}", .file.display())]
    NotText {
        /// The file.
        file: PathBuf,
        /// The problem, with its line.
        problem: String,
        /// The remedy.
        #[help]
        hint: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`{}", .path.display(), ReferencedBy(named_by))]
    Read {
        /// The file.
        path: PathBuf,
        /// The file that refers to it, if any.
        named_by: Option<PathBuf>,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file's syntax is wrong.
    #[error("cannot understand `{}`: {problem}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The problem, with its location.
        problem: String,
    },
    /// An entry cannot be translated to requirements.
    #[error("`{}`: `{entry}` {problem}", .file.display())]
    Untranslatable {
        /// The file.
        file: PathBuf,
        /// The key or package.
        entry: String,
        /// Why it cannot.
        problem: String,
        /// The remedy.
        #[help]
        hint: &'static str,
    },
    /// The installer failed.
    #[error(
        "cannot make the Python environment of {}{}: `{tool}` ended with {status}{}",
        Nodes(nodes),
        RequestedBy(file),
        Output(output)
    )]
    Install {
        /// The nodes that need the environment.
        nodes: Vec<String>,
        /// The file that lists the packages.
        file: Option<PathBuf>,
        /// The installer.
        tool: Tool,
        /// Its status.
        status: ExitStatus,
        /// Its last lines of output, or all if they are few.
        output: Vec<String>,
        /// The pins without a wheel for this Python, and which Python has them.
        #[help]
        missing_wheels: Option<String>,
    },
    /// The installer cannot be started.
    #[error("cannot start `{}` to make the Python environment of {}", .command.display(), Nodes(nodes))]
    Start {
        /// The nodes that need the environment.
        nodes: Vec<String>,
        /// The command.
        command: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A finished environment does not work.
    #[error("the Python environment of {}{} does not work: {problem}", Nodes(nodes), RequestedBy(file))]
    Unusable {
        /// The nodes that need the environment.
        nodes: Vec<String>,
        /// The file that lists the packages.
        file: Option<PathBuf>,
        /// The problem.
        problem: String,
        /// The remedy, if known.
        #[help]
        hint: Option<String>,
    },
    /// The cache cannot be written.
    #[error("cannot write `{}`", .path.display())]
    #[diagnostic(help("{CACHE_HINT}"))]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// The hint where a file requires another interpreter.
struct InterpreterHint<'a>(&'a Option<PathBuf>);

impl fmt::Display for InterpreterHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(found) => write!(f, "`{}` would do: name it with `--python`", found.display()),
            None => {
                f.write_str("install one (with `uv python install` or pyenv), or name one with `--python`")
            }
        }
    }
}

/// All findings, one per line.
struct Findings<'a>(&'a [Finding]);

impl fmt::Display for Findings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{finding}")?;
        }
        Ok(())
    }
}

/// The names of nodes in a sentence.
struct Nodes<'a>(&'a [String]);

impl fmt::Display for Nodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "node " } else { "nodes " })?;
        for (index, name) in self.0.iter().enumerate() {
            write!(f, "{}`{name}`", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The file that lists the packages.
struct RequestedBy<'a>(&'a Option<PathBuf>);

impl fmt::Display for RequestedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |file| write!(f, " from `{}`", file.display()))
    }
}

/// The file that refers to another one.
struct ReferencedBy<'a>(&'a Option<PathBuf>);

impl fmt::Display for ReferencedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |file| write!(f, ", which `{}` names", file.display()))
    }
}

/// The interpreters found.
struct Candidates<'a>(&'a [(PathBuf, String)]);

impl fmt::Display for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(path, why)| write!(f, "\n  `{}` {why}", path.display()))
    }
}

/// The installer's output.
struct Output<'a>(&'a [String]);

impl fmt::Display for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
