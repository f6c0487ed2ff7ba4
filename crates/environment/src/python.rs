//! Interpreters: their choice, location and properties.

mod cache;
mod choice;
mod facts;
mod find;
mod pick;
mod probe;

pub use choice::PythonChoice;
pub(crate) use facts::Facts;
pub(crate) use pick::{Picked, Pythons};
pub(crate) use probe::probe;

use pep440_rs::Version;

/// The oldest supported Python.
pub(crate) const OLDEST_PYTHON: [u64; 2] = [3, 7];

/// The oldest supported `protobuf`.
pub(crate) const OLDEST_PROTOBUF: [u64; 2] = [3, 6];

/// The first major version of `protobuf` without API that code of KRT v1's time uses: 5.26 removed
/// `including_default_value_fields` of `MessageToDict`.
pub(crate) const NEWER_PROTOBUF: [u64; 2] = [5, 0];

/// Whether a version is at least another.
pub(crate) fn is_at_least(version: &Version, oldest: [u64; 2]) -> bool {
    let part = |index| version.release().get(index).copied().unwrap_or(0);
    [part(0), part(1)] >= oldest
}
