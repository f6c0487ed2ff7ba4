//! Builds a KRT v1 node from two functions.
//!
//! ```no_run
//! use krt_sdk::{Context, Result};
//!
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct GreetRequest { #[prost(string, tag = "1")] name: String }
//! # impl prost::Name for GreetRequest { const NAME: &'static str = "GreetRequest"; const PACKAGE: &'static str = "greeter"; }
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct Greeting { #[prost(string, tag = "1")] text: String }
//! # impl prost::Name for Greeting { const NAME: &'static str = "Greeting"; const PACKAGE: &'static str = "greeter"; }
//! async fn init(ctx: Context) -> Result<()> {
//!     ctx.set("salutation", "Hello");
//!     Ok(())
//! }
//!
//! async fn handler(ctx: Context, request: GreetRequest) -> Result<Greeting> {
//!     ctx.logger().info(format_args!("greeting {}", request.name));
//!     let salutation = ctx.get::<&str>("salutation")?;
//!     Ok(Greeting { text: format!("{salutation}, {}!", request.name) })
//! }
//!
//! fn main() {
//!     krt_sdk::start(init, handler);
//! }
//! ```
//!
//! - [`start`]: the entry point; [`start_batches`] for a node with `batch` in `krt.yml`. [`Handler`] describes the inputs and outputs of handlers.
//! - [`Context`]: the context that both functions receive.
//!
//! Inside: `startup` takes over the engine's socket and lifeline, `frame` and `reader` have the frames of the
//! node protocol, `worker` serves the engine, `link` writes, `form` converts payloads for handlers.

mod batch;
mod calls;
mod context;
mod contract;
mod database;
mod delivery;
mod form;
mod frame;
mod guard;
mod hello;
mod link;
mod logger;
mod measurement;
mod metadata;
mod prediction;
mod reader;
mod startup;
mod values;
mod worker;

#[cfg(test)]
mod tests;

pub use batch::{BatchContext, BatchHandler};
pub use bson;
pub use context::Context;
pub use database::Database;
pub use form::{Handler, Init, Input, Maybe, Messages, One, Output, Plain};
pub use logger::Logger;
pub use measurement::{Field, Measurements};
pub use metadata::Metadata;
pub use prediction::{MetricError, Prediction, Predictions};
pub use prost;
pub use prost_types::{self, Any};
pub use serde_json;
pub use values::NotKept;

use std::io::Write as _;

/// Any error of a node. An error that a handler returns fails only its request.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of a node's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An `init` for nodes that need none.
pub async fn no_init(_: Context) -> Result<()> {
    Ok(())
}

/// Runs the node until the engine stops it, and ends the process.
///
/// Calls `init` once, before the first message; if it fails, the node does not start. Calls `handler` for
/// each message, one at a time unless the node has `concurrency` in `krt.yml`. A panic fails only its
/// request. When a request is cancelled, its handler is dropped at its current await.
///
/// Both run on a [tokio](https://docs.rs/tokio) runtime: on this thread only, or on several if
/// `concurrency` is above one.
pub fn start<I, H, Form>(init: I, handler: H) -> !
where
    I: Init,
    H: Handler<Form>,
    Form: 'static,
{
    run(|| form::Node::new(init, handler))
}

/// Runs a node with `batch` in `krt.yml`, like [`start`]: its handler gets the messages that wait in one call.
///
/// ```no_run
/// # use krt_sdk::{BatchContext, Context, Result};
/// async fn handler(ctx: BatchContext, numbers: Vec<i64>) -> Result<Vec<Result<i64>>> {
///     let answer = |(own, number): (&Context, i64)| {
///         own.logger().info("received");
///         number.checked_mul(2).ok_or_else(|| "the number is too large".into())
///     };
///     Ok(ctx.items().iter().zip(numbers).map(answer).collect())
/// }
///
/// fn main() {
///     krt_sdk::start_batches(krt_sdk::no_init, handler);
/// }
/// ```
pub fn start_batches<I, H, Form>(init: I, handler: H) -> !
where
    I: Init,
    H: BatchHandler<Form>,
    Form: 'static,
{
    run(|| form::Node::of_batches(init, handler))
}

fn run(node: impl FnOnce() -> form::Node) -> ! {
    let ending = match startup::socket() {
        Ok(socket) => worker::serve(socket, node()),
        Err(error) => worker::Ending::of_startup(&error),
    };
    if let Some(message) = &ending.message {
        // There is no other place to report an error.
        #[expect(clippy::disallowed_methods, reason = "a worker's standard error is the engine's to show")]
        let _ = writeln!(std::io::stderr(), "krt: {message}");
    }
    std::process::exit(ending.status)
}
