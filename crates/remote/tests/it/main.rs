//! The common behaviour of all stores of a kind, embedded or remote, on real servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documents;
mod measurements;
mod outages;
mod recorder;
mod runtimes;
