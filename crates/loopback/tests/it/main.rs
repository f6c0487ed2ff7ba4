//! The servers on the loopback, with the clients in code of KRT v1: versions of that time, and current ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod influx;
mod mongo;
