//! The entrypoint: gRPC and HTTP in front of the workflows, on one port.
//!
//! - [`listen`]: connections, from accepting them to letting them go.
//! - [`gate`]: which version a request is for; [`directory`]: those that there are.
//! - [`mod@routes`]: where RPCs lead.
//! - [`door`]: which protocol a request speaks, and which method it names.
//! - [`grpc`]: unary gRPC.
//! - [`connect`]: JSON over HTTP, by the Connect protocol's unary rules.
//! - [`read`]: a request's body, its limits and its compression.
//! - [`wire`]: whether bytes are a message of a type.
//! - [`status`]: the one place where failures become statuses.
//! - [`health`]: `grpc.health.v1`, true to the nodes' state.

mod body;
mod connect;
mod deadline;
mod directory;
mod door;
mod gate;
mod grpc;
mod health;
mod index;
pub mod listen;
mod read;
mod routes;
mod status;
mod wire;

pub use directory::{Directory, Lease, Tokens, bearer};
pub use door::{Called, Door};
pub use gate::Gate;
pub use health::watch as watch_health;
pub use routes::routes;

use std::time::Duration;

/// What every request is held to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest wait for an answer; a client's own deadline may be shorter.
    pub timeout: Duration,
    /// The largest message in and out, bytes.
    pub message: usize,
}
