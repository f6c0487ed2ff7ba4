//! Errors of compilers, with their places.

use std::path::PathBuf;

/// An error in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as the compiler names it: relative to the folder of the sources, or to one above.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The message.
    pub message: String,
}

impl Diagnostic {
    /// Parses `FILE:LINE:COLUMN`, which a colon may follow.
    pub(super) fn at(place: &str, message: &str) -> Option<Self> {
        let mut parts = place.splitn(4, ':');
        let file = PathBuf::from(parts.next()?);
        let mut number = || parts.next()?.trim().parse().ok();
        Some(Self { file, line: number()?, column: number()?, message: message.to_owned() })
    }
}
