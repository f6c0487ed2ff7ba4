//! Progress events.

use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, time::Duration};

/// An event of an environment or executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The nodes that share it, in the given order.
    pub nodes: Vec<String>,
    /// The step.
    pub step: Step,
}

/// A step for an environment or an executable. Credentials in addresses are masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// An existing one is reused.
    Reusing,
    /// Another process is creating it, and this one waits.
    Waiting,
    /// A note about it.
    Note(String),
    /// A warning about it.
    Warning(String),
    /// An environment is being created.
    Creating {
        /// The installer.
        tool: Tool,
        /// The file that lists the packages. `None`: only `protobuf` is needed.
        file: Option<PathBuf>,
    },
    /// An executable is being built from sources.
    Building {
        /// Their folder.
        folder: PathBuf,
    },
    /// The installer or the compiler printed a line.
    Installing {
        /// The line, without its newline.
        line: String,
    },
    /// It is ready.
    Installed {
        /// How long that took.
        elapsed: Duration,
    },
}

/// The installer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tool {
    /// `uv`, from `PATH` or as a module of the interpreter.
    Uv,
    /// Python's own `pip`.
    Pip,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uv => "uv",
            Self::Pip => "pip",
        })
    }
}
