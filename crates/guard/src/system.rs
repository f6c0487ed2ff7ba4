//! What differs between systems: the processes below this one, and what the kernel does for a guard.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod macos;
#[cfg(any(test, not(target_os = "linux")))]
mod ps;

#[cfg(target_os = "linux")]
pub(crate) use linux::{
    MEMORY_CHECK_INTERVAL, adopt_orphans, hide_memory, keep_to, kill, memory, started_below,
};
#[cfg(target_os = "linux")]
pub use linux::{free_memory, memory_below, usage_below, usage_of_self};
#[cfg(not(target_os = "linux"))]
pub(crate) use macos::{
    MEMORY_CHECK_INTERVAL, adopt_orphans, hide_memory, keep_to, kill, memory, started_below,
};
#[cfg(not(target_os = "linux"))]
pub use macos::{free_memory, memory_below, usage_below, usage_of_self};

use std::{collections::BTreeSet, io, path::PathBuf, time::Duration};

/// The memory and the processor time of a worker's processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in use, in bytes; pages of files do not count on Linux.
    pub memory: u64,
    /// Processor time since their start, with that of children that have ended.
    pub processor: Duration,
}

/// Guards below another one, by process id: what is below them is not the other's.
pub type Guards = BTreeSet<u32>;

/// The running program. On Linux this is the running build, even if its file has been replaced.
pub fn program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}
