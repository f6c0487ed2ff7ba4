//! Servers on the loopback for executables that were built with an older runner of KRT v1. Such an executable
//! connects to NATS, MongoDB and InfluxDB itself, and `krt run` provides these servers.
//!
//! - [`nats`]: the core NATS protocol.
//! - [`mongo`]: the part of MongoDB's wire protocol that a runner uses, over the embedded documents.
//! - [`influx`]: InfluxDB's write endpoints, over the embedded measurements.
//! - `accept`, `secret`: shared by the servers.
//!
//! These servers accept connections from this machine only and keep no state of their own.

mod accept;
pub mod influx;
pub mod mongo;
pub mod nats;
mod secret;
