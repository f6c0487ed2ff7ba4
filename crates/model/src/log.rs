//! The severity of a log record.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The severity of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Level {
    /// Details for finding a fault.
    Debug = 0,
    /// Normal operation.
    Info = 1,
    /// A possible problem.
    Warn = 2,
    /// A failure.
    Error = 3,
}

/// The text is not a level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("`{0}` is not a level")]
#[diagnostic(help("`DEBUG`, `INFO`, `WARN` or `ERROR`"))]
pub struct LevelError(String);

impl Level {
    /// Every level, from the least severe.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The level's name in KRT v1: `DEBUG`, `INFO`, `WARN` or `ERROR`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = LevelError;

    /// Parses a level's name in any case.
    fn from_str(text: &str) -> Result<Self, LevelError> {
        let found = Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| LevelError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_any_case() {
        assert_eq!("warn".parse(), Ok(Level::Warn));
        assert!("warning".parse::<Level>().is_err());
    }
}
