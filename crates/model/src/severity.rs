//! The severity of a problem with a package.

use serde::{Deserialize, Serialize};

/// How bad a problem with a package, or with a node's environment, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The package cannot run.
    Error,
    /// The package runs, but probably not as intended.
    Warning,
    /// The package runs; this is only information.
    Note,
}

impl Severity {
    /// All values, in order.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Note];
}
