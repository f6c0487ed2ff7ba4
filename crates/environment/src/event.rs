//! Progress, for whoever shows it.

use std::{fmt, path::PathBuf, time::Duration};

/// Something that happened to what some nodes run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The nodes that share it, in the order given.
    pub nodes: Vec<String>,
    /// What happened.
    pub step: Step,
}

/// What happens to an environment, or an executable. Credentials in addresses are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It was made before and is used as it is.
    Reusing,
    /// Another process makes it: waiting for that one.
    Waiting,
    /// It is being made.
    Creating {
        /// What installs the packages.
        tool: Tool,
        /// The file that asks for them. `None`: only `protobuf` is needed.
        file: Option<PathBuf>,
    },
    /// It is being built from sources.
    Building {
        /// Their folder.
        folder: PathBuf,
    },
    /// The installer or the compiler wrote a line.
    Installing {
        /// The line, without its end.
        line: String,
    },
    /// It is ready.
    Installed {
        /// How long that took.
        elapsed: Duration,
    },
}

/// What installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `uv`, from `PATH` or as a module of the interpreter.
    Uv,
    /// The `pip` that Python brings with it.
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
