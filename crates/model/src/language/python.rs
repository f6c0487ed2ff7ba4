//! Python.

use super::{Facts, Language};

impl Language {
    /// Python, whose source files run.
    pub const PYTHON: Self = Self(&Facts { id: "python", name: "Python", ending: "py", compiled: None });
}
