//! Makes a node of KRT v1 from two functions of yours.
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
//! - [`start`]: the way in. [`Handler`] says what a handler may take and return.
//! - [`Context`]: what the functions are given.
//!
//! Inside: `birth` takes what the engine hands to the process, `frame` and `reader` have the frames of
//! the node protocol, `host` is the conversation, `link` writes, `form` turns payloads into what
//! handlers take.

mod birth;
mod calls;
mod context;
mod contract;
mod database;
mod delivery;
mod form;
mod frame;
mod guard;
mod hello;
mod host;
mod link;
mod logger;
mod measurement;
mod prediction;
mod reader;
mod values;

#[cfg(test)]
mod tests;

pub use bson;
pub use context::Context;
pub use database::Database;
pub use form::{Give, Handler, Init, Maybe, Messages, One, Plain, Take};
pub use logger::Logger;
pub use measurement::{Field, Measurements};
pub use prediction::{MetricError, Prediction, Predictions};
pub use prost;
pub use prost_types::{self, Any};
pub use serde_json;
pub use values::NotKept;

use std::io::Write as _;

/// Any error of a node's: what a handler returns becomes the error of that one request.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What the functions of a node return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The SDK's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An `init` for nodes that need none.
pub async fn no_init(_: Context) -> Result<()> {
    Ok(())
}

/// Runs the node until the engine says to stop, and ends the process.
///
/// `init` is called once, before the first message; when it fails, the node does not start. `handler` is
/// called for each message, one at a time unless the node has `concurrency` in `krt.yml`. A panic is
/// the error of that one request. A handler whose request nobody waits for any more is dropped where
/// it awaits.
///
/// Both run on a [tokio](https://docs.rs/tokio) runtime: of this one thread, or of several where
/// `concurrency` is above one.
pub fn start<I, H, Form>(init: I, handler: H) -> !
where
    I: Init,
    H: Handler<Form>,
    Form: 'static,
{
    let ending = match birth::socket() {
        Ok(socket) => host::converse(socket, form::Node::new(init, handler)),
        Err(error) => host::Ending::of_birth(&error),
    };
    if let Some(words) = &ending.words {
        // Nobody is left to tell of an error.
        let _ = writeln!(std::io::stderr(), "krt: {words}");
    }
    std::process::exit(ending.status)
}
