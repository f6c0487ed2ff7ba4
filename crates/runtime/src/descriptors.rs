//! Limits on the open file descriptors of this process and of its workers.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit that this process was started with.
#[derive(Debug, Clone, Copy)]
pub struct Descriptors {
    inherited: Rlimit,
}

impl Descriptors {
    /// Leaves the limit unchanged.
    pub fn inherited() -> Self {
        Self { inherited: getrlimit(Resource::Nofile) }
    }

    /// Raises the soft limit to the hard one. Each client takes a descriptor, and the usual soft limit of
    /// 1024 protects programs that use `select`, which this one does not.
    pub fn raise() -> Self {
        let inherited = getrlimit(Resource::Nofile);
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: inherited.maximum, ..inherited }) {
            tracing::debug!("the limit of file descriptors stays as it is: {error}");
        }
        Self { inherited }
    }

    /// Returns the soft and hard limit of a worker: its own, if set, or else the one that this process was
    /// started with, since user code may use `select`.
    pub(crate) fn of_worker(self, own: Option<u32>) -> [Option<u64>; 2] {
        let Rlimit { current, maximum } = self.inherited;
        let hard = maximum.unwrap_or(u64::MAX);
        match own.map(|own| hard.min(own.into())) {
            Some(own) => [Some(own), Some(own)],
            None => [current, maximum],
        }
    }
}

/// Returns the current limit of this process.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
