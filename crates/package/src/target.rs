//! The target of a package.

use serde::{Deserialize, Serialize};

/// The target of a package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// This machine: container images are not used and may be absent.
    #[default]
    Local,
    /// A cluster: every node, and the entrypoint, needs an `image`.
    Cluster,
}
