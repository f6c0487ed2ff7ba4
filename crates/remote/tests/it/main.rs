//! What every store of documents does, embedded or remote.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documents;
mod support;
