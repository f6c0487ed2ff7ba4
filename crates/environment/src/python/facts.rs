//! The properties of an interpreter.

use pep440_rs::Version;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The properties of an interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Its executable; for a version manager's command, the one behind it.
    pub(crate) python: PathBuf,
    /// The executable of the installation below a virtual environment, with links resolved.
    pub(crate) base: PathBuf,
    pub(crate) version: Version,
    pub(crate) implementation: String,
    pub(crate) platform: String,
    /// The version of `protobuf` in it.
    pub(crate) protobuf: Option<Version>,
    /// Whether it belongs to a virtual or conda environment, which a user created for a purpose.
    pub(crate) is_environment: bool,
    /// Paths that change when a package is installed or the interpreter replaced: the folders of imports, and
    /// the executable.
    pub(crate) watched: Vec<PathBuf>,
}
