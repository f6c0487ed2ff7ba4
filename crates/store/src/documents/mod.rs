//! Documents: checking, saving, finding.
//!
//! - [`check`]: what may be stored, and the `_id`.
//! - [`key`]: `_id`s as bytes that are equal where MongoDB finds them equal.
//! - [`queue`]: saves on their way to the writer.
//! - [`writer`]: the thread that commits them, many at once.
//! - [`find`]: scanning a collection in batches.

pub(crate) mod check;
pub(crate) mod find;
pub(crate) mod key;
pub(crate) mod queue;
pub(crate) mod writer;
