//! The values of `--python`.

use pep440_rs::Version;
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

/// A user's choice of an interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PythonChoice {
    /// The path of an interpreter, or of a virtual environment's folder. Anything with a `/` in it.
    Path(PathBuf),
    /// A version: `3`, `3.12` or `3.12.1`.
    Version(Version),
    /// A command on `PATH`.
    Command(String),
}

impl FromStr for PythonChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let numbers = text.split('.').count() <= 3 && text.chars().all(|c| c == '.' || c.is_ascii_digit());
        Ok(match Version::from_str(text) {
            Ok(version) if numbers => Self::Version(version),
            _ if text.contains('/') => Self::Path(text.into()),
            _ => Self::Command(text.to_owned()),
        })
    }
}

impl fmt::Display for PythonChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "Python at `{}`", path.display()),
            Self::Version(version) => write!(f, "Python {version}"),
            Self::Command(name) => write!(f, "Python that `{name}` on `PATH` starts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices() {
        let version = |text| PythonChoice::Version(Version::from_str(text).unwrap());
        let command = |text: &str| PythonChoice::Command(text.to_owned());
        let path = |text: &str| PythonChoice::Path(text.into());
        for (text, expected) in [
            ("3", version("3")),
            ("3.12", version("3.12")),
            ("3.12.1", version("3.12.1")),
            ("python3.12", command("python3.12")),
            ("3.12rc1", command("3.12rc1")),
            ("3.1.2.4", command("3.1.2.4")),
            ("pypy", command("pypy")),
            ("./3.12", path("./3.12")),
            ("/usr/bin/python3", path("/usr/bin/python3")),
            ("env/", path("env/")),
        ] {
            assert_eq!(PythonChoice::from_str(text).unwrap(), expected, "{text}");
        }
    }
}
