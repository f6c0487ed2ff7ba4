//! The runtime environment of Python nodes.

use krt_environment::{Interpreter, Modules, Sdk};
use std::collections::BTreeMap;

/// The runtime environment of Python nodes.
pub(crate) struct Pythons {
    /// The SDK; must exist while the nodes run.
    pub(crate) sdk: Sdk,
    /// The modules of the package's messages; must exist while the nodes run.
    pub(crate) modules: Modules,
    /// The interpreter of each node, by node name.
    pub(crate) interpreters: BTreeMap<String, Interpreter>,
}
