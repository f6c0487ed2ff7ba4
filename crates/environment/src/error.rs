//! What can go wrong, in words a user can act on.

use crate::event::Tool;
use pep440_rs::Version;
use std::{fmt, io, path::PathBuf, process::ExitStatus};

/// Why there is no environment. Credentials in addresses are masked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No interpreter that nodes could run in.
    #[error(
        "found no {wanted}{}\nhint: {hint}",
        Looked(looked),
        hint = "install Python 3.9 or newer, or name one with `--python` (a path, a command or a version such as 3.12)"
    )]
    NoPython {
        /// What was looked for.
        wanted: String,
        /// What was found instead: where, and why it does not do.
        looked: Vec<(PathBuf, String)>,
    },
    /// The interpreter is of another version than a file asks for.
    #[error(
        "`{}` asks for Python `{requires}`, and `{}` is {version}\nhint: name another with `--python`",
        .file.display(),
        .python.display()
    )]
    RequiresPython {
        /// The file that asks.
        file: PathBuf,
        /// What it asks for.
        requires: String,
        /// The interpreter.
        python: PathBuf,
        /// The interpreter's version.
        version: Version,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`{}", .path.display(), Naming(named_by))]
    Read {
        /// The file.
        path: PathBuf,
        /// The file that names it, if another one does.
        named_by: Option<PathBuf>,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("cannot understand `{}`: {problem}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// A file asks for something that has no equal among requirements.
    #[error("`{}`: `{entry}` {problem}\nhint: {hint}", .file.display())]
    Untranslatable {
        /// The file.
        file: PathBuf,
        /// The key or package.
        entry: String,
        /// What is in the way.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// The installer gave up.
    #[error(
        "cannot make the Python environment of {}{}: `{tool}` ended with {status}{}",
        Nodes(nodes),
        AskedBy(file),
        Output(output)
    )]
    Install {
        /// The nodes that need the environment.
        nodes: Vec<String>,
        /// The file that asks for the packages.
        file: Option<PathBuf>,
        /// What was run.
        tool: Tool,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines of output; all of them where they are few.
        output: Vec<String>,
    },
    /// The installer could not be started.
    #[error("cannot start `{}` to make the Python environment of {}", .command.display(), Nodes(nodes))]
    Start {
        /// The nodes that need the environment.
        nodes: Vec<String>,
        /// What was to be run.
        command: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A finished environment does not work.
    #[error("the Python environment of {}{} does not work: {problem}", Nodes(nodes), AskedBy(file))]
    Unusable {
        /// The nodes that need the environment.
        nodes: Vec<String>,
        /// The file that asks for the packages.
        file: Option<PathBuf>,
        /// What is wrong.
        problem: String,
    },
    /// The cache cannot be written.
    #[error(
        "cannot write `{}`\nhint: `KRT_CACHE` names another folder for what is kept between runs",
        .path.display()
    )]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Names of nodes as part of a sentence.
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

/// The file that asks for packages.
struct AskedBy<'a>(&'a Option<PathBuf>);

impl fmt::Display for AskedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |file| write!(f, " from `{}`", file.display()))
    }
}

/// The file that names another one.
struct Naming<'a>(&'a Option<PathBuf>);

impl fmt::Display for Naming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |file| write!(f, ", which `{}` names", file.display()))
    }
}

/// The interpreters that were looked at.
struct Looked<'a>(&'a [(PathBuf, String)]);

impl fmt::Display for Looked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(path, why)| write!(f, "\n  `{}` {why}", path.display()))
    }
}

/// What the installer wrote.
struct Output<'a>(&'a [String]);

impl fmt::Display for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
