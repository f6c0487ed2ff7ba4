//! Formats an error in one line.

use std::error::Error;

/// Joins an error and its causes with `: `, each once. [`krt_model::hint::chain`] adds hints.
pub fn chain(error: &dyn Error) -> String {
    krt_model::hint::messages(error)
}
