//! The server: a KRT v1 package at work.
//!
//! - [`server`]: one package behind one port, until told to stop.
//! - [`engine`]: a package's parts put together.
//! - [`entry`]: gRPC and HTTP in front.
//! - [`flow`]: a request's way through its workflow, and the decisions on it.
//! - [`node`]: the processes that run user code.
//! - [`nats`]: a version's messages over NATS, one engine among many.
//! - [`json`]: proto3 JSON.
//! - [`logs`]: one stream of records.
//! - [`metrics`]: numbers for a monitoring system.
//! - [`traces`]: which trace a request belongs to, and what is told of its way.
//!
//! `entry`, `nats` and `node` import `flow`, not one another.

pub mod engine;
pub mod entry;
pub mod errors;
pub mod flow;
pub mod json;
pub mod logs;
pub mod metrics;
pub mod nats;
pub mod node;
pub mod server;
pub mod traces;

pub use engine::{Engine, Error, Running};
pub use server::{Options, Server};
