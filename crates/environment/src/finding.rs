//! Findings about the environment that a node needs.

use crate::imports::Location;
use std::path::PathBuf;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The node cannot start.
    Error,
    /// It may fail.
    Warning,
    /// It is only information.
    Note,
}

/// A finding about a node's imports or requirements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The node.
    pub node: String,
    /// The file, relative to the package's root where it lies there.
    pub file: PathBuf,
    /// The place in the file, if there is one.
    pub location: Option<Location>,
    /// The message: a lowercase fragment.
    pub message: String,
    /// The hint.
    pub hint: String,
}

impl Finding {
    /// One line, without the hint.
    pub(crate) fn line(&self) -> String {
        let location = self
            .location
            .map(|location| format!(":{}:{}", location.line, location.column))
            .unwrap_or_default();
        format!("{}{location}: {}", self.file.display(), self.message)
    }

    /// One line, with the hint.
    pub(crate) fn sentence(&self) -> String {
        let hint = if self.hint.is_empty() { String::new() } else { format!("; hint: {}", self.hint) };
        format!("{}{hint}", self.line())
    }
}
