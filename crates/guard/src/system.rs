//! What differs between systems: the processes below this one, and what the kernel does for a guard.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod macos;
#[cfg(any(test, not(target_os = "linux")))]
mod ps;

#[cfg(target_os = "linux")]
pub use linux::memory_below;
#[cfg(target_os = "linux")]
pub(crate) use linux::{MEMORY_CHECK_INTERVAL, adopt_orphans, hide_memory, keep_to, kill, memory};
#[cfg(not(target_os = "linux"))]
pub use macos::memory_below;
#[cfg(not(target_os = "linux"))]
pub(crate) use macos::{MEMORY_CHECK_INTERVAL, adopt_orphans, hide_memory, keep_to, kill, memory};

use std::{io, path::PathBuf};

/// The running program. On Linux this is the running build, even if its file has been replaced.
pub fn program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}
