//! What every store of a kind does, embedded or remote, against real servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod away;
mod documents;
mod measurements;
mod recorder;
