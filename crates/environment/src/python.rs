//! Interpreters: which one is meant, where it is, what it is.

mod choice;
mod find;
mod memory;
mod probe;

pub use choice::PythonChoice;
pub(crate) use find::find;
pub(crate) use probe::{Facts, probe};

use pep440_rs::Version;

/// The oldest Python that nodes run in.
pub(crate) const OLDEST_PYTHON: [u64; 2] = [3, 9];

/// The oldest `protobuf` that nodes run with.
pub(crate) const OLDEST_PROTOBUF: [u64; 2] = [3, 20];

/// Whether a version is at least another.
pub(crate) fn is_at_least(version: &Version, oldest: [u64; 2]) -> bool {
    let part = |index| version.release().get(index).copied().unwrap_or(0);
    [part(0), part(1)] >= oldest
}
