//! The servers and the link are what the tests that stand on them take them for.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod link;
mod nats;
