//! A Python node, as the caller names it.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A Python node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSource {
    /// Its name.
    pub name: String,
    /// Its Python file, relative to the package's root.
    pub src: PathBuf,
}
