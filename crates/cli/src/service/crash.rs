//! Protects this process's memory: core dumps, and access by other processes of the same user.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Disables core dumps: they would contain passwords, tokens and client data. Workers inherit this.
pub(crate) fn leave_no_core() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::debug!("a crash may leave a core: {error}");
    }
}

/// Hides a server's memory and environment from other processes of its user: Linux then allows only root to read
/// them and to trace the process.
#[cfg(target_os = "linux")]
pub(crate) fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!("other processes of this user may read this one's memory: {error}");
    }
}

/// Only Linux has a counterpart.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_memory_private() {
    tracing::debug!("other processes of this user may read this one's memory");
}
