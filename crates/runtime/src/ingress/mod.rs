//! The entrypoint: gRPC and HTTP in front of the workflows, on one port.
//!
//! - [`listener`]: a port, which accepts connections; [`connection`]: one of them, until its end.
//! - [`activity`]: the activity of a connection, and its time limits.
//! - [`sent_body`]: answers, until they are sent.
//! - [`limiter`]: clients for which there is no room.
//! - [`client_port`]: the port of one version; [`upstream`]: that version, up or not.
//! - [`browsers`]: rules for browsers.
//! - [`router`]: the version of a request; [`directory`]: all versions.
//! - [`mod@routes`]: the targets of RPCs.
//! - [`service`]: the protocol of a request, and its method.
//! - [`call`]: a call, the same way in each protocol.
//! - [`grpc`]: the codec of gRPC.
//! - [`connect`]: the codec of JSON over HTTP, by the Connect protocol's rules.
//! - [`open_inference`]: models of the Open Inference Protocol, over REST and gRPC.
//! - [`stream`]: answers that are streams, in each protocol.
//! - [`envelope`]: messages with a head.
//! - [`read`]: a request's body and its limits.
//! - [`coding`]: compressed bodies.
//! - [`canonical`]: the key of a request in a cache.
//! - [`wire`]: checks that bytes are a message of a type.
//! - [`status`]: the one place that turns failures into statuses.
//! - [`health`]: `grpc.health.v1`, from the state of the nodes.

mod activity;
mod body;
pub mod browsers;
mod call;
mod canonical;
mod client_port;
mod coding;
mod connect;
mod connection;
mod deadline;
mod directory;
mod envelope;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grpc;
mod health;
mod index;
mod limiter;
pub mod listener;
mod metadata;
mod open_inference;
mod peer;
mod read;
mod router;
mod routes;
mod sent_body;
mod service;
mod status;
mod stream;
mod upstream;
mod wire;

pub use client_port::ClientPort;
pub use directory::{Directory, Grant, Lease, Tokens, VersionScope, bearer};
pub use health::watch as watch_health;
pub use router::VersionRouter;
pub use routes::routes;
pub use service::{CallOutcome, Ingress};
pub use stream::CallStream;
pub use upstream::Upstream;

use std::time::Duration;

/// Limits on every request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest wait for an answer; a client's own deadline may be shorter.
    pub timeout: Duration,
    /// The largest message in and out, in bytes.
    pub message: usize,
}
