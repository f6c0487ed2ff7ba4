//! Validates, saves and finds documents.
//!
//! - [`check`]: which documents are valid, and their `_id`.
//! - [`key`]: `_id`s as bytes that are equal where MongoDB treats them as equal.
//! - [`queue`]: the queue of saves for the writer.
//! - [`writer`]: the thread that commits them, many at once.
//! - [`find`]: scans of a collection in batches.

pub(crate) mod check;
pub(crate) mod find;
pub(crate) mod key;
pub(crate) mod queue;
pub(crate) mod writer;
