//! The steps of reading a package.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::rc::Rc;

/// A step of reading a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Unpacks its archive.
    Unpack,
    /// Lists its files, and reads its manifest.
    Read,
    /// Compiles one of its `.proto` files.
    Compile {
        /// The file, as imported.
        file: String,
    },
}

/// Receives each step.
pub type Steps = Rc<dyn Fn(Step)>;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpack => f.write_str("unpacking the archive"),
            Self::Read => f.write_str("reading its files"),
            Self::Compile { file } => write!(f, "compiling `{file}`"),
        }
    }
}
