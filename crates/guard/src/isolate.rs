//! Namespaces that limit a worker's view to its own package and its own processes.
//!
//! The guard creates them, and starts itself once more as process 1 in them ([`inner`](crate::inner)): the
//! kernel then kills everything inside with it. Where the engine is root, the worker has a user of its own.
//! Elsewhere a user namespace lets the guard create the others, and the worker runs as the engine's user
//! without access to the engine's files. Only Linux has namespaces.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod unsupported;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Whether this system can isolate workers at all.
pub const IS_SUPPORTED: bool = cfg!(target_os = "linux");

/// The isolation of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Its user and group, where the engine is root.
    pub user: Option<u32>,
    /// Folders whose content is hidden.
    pub hidden: Vec<PathBuf>,
    /// Files and folders that stay visible, read-only.
    pub kept: Vec<PathBuf>,
    /// Folders that stay visible and writable.
    pub writable: Vec<PathBuf>,
    /// Its home: empty at first, and deleted when it ends.
    pub home: PathBuf,
}
