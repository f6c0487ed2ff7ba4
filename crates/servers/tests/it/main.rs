//! Validates the servers and the link that other tests rely on.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod link;
mod nats;
