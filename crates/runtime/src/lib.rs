//! The server that runs a KRT v1 package.
//!
//! - [`server`]: runs one package behind one port, until shutdown.
//! - [`engine`]: a package assembled from its parts.
//! - [`descriptors`]: limits on open files.
//! - [`gpus`]: the GPUs of this machine, and the workers that have them.
//! - [`ingress`]: gRPC and HTTP.
//! - [`flow`]: runs requests through their workflow, and decides on the results.
//! - [`node`]: the processes that run user code.
//! - [`nats`]: a version's messages over NATS, among several engines.
//! - [`json`]: proto3 JSON.
//! - [`tensors`]: tensors of the Open Inference Protocol, as messages.
//! - `envelopes`: reads and writes NATS envelopes, within the memory of requests.
//! - [`memory`]: the memory of requests.
//! - [`offload`]: runs work that would block the threads that serve requests.
//! - [`save_request`]: saves documents that other runners send as messages.
//! - [`logs`]: one stream of records.
//! - [`metrics`]: metrics for a monitoring system.
//! - [`traces`]: the trace of a request, and its spans.
//!
//! `ingress`, `nats` and `node` import `flow`, not one another.

pub mod descriptors;
pub mod engine;
mod envelopes;
pub mod flow;
pub mod gpus;
pub mod ingress;
pub mod json;
pub mod logs;
pub mod memory;
pub mod metrics;
pub mod nats;
pub mod node;
pub mod offload;
mod save_request;
pub mod server;
pub mod tensors;
pub mod traces;

pub use engine::{Engine, Error, Options, Parts, Running};
