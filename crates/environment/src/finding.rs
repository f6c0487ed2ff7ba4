//! Findings about the environment that a node needs.

use crate::imports::Location;
use krt_model::severity::Severity;
use miette::Diagnostic;
use std::{fmt, path::PathBuf};

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

/// One line, without the hint.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Location { line, column }) = self.location {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Finding {}

impl Diagnostic for Finding {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        let hint = Some(&self.hint).filter(|hint| !hint.is_empty());
        hint.map(|hint| -> Box<dyn fmt::Display> { Box::new(hint) })
    }
}
