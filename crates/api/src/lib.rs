//! The requests and responses of the API of `krt serve` and `krt run`: types without I/O, which the server, the
//! command line and the tests share.
//!
//! - One module per noun: [`server`], [`session`], [`user`], [`token`], [`audit`], [`runtime`], [`store`],
//!   [`version`],
//!   [`config`], [`graph`], [`log`], [`request`], [`measurement`], [`board`], [`prediction`], [`docs`],
//!   [`call`], [`event`].
//! - [`error`]: why a request was refused.
//! - [`hidden`]: text that debug output hides.
//! - [`document`]: the OpenAPI document, made of the types and of the list of operations.

pub mod audit;
pub mod board;
pub mod call;
pub mod config;
pub mod docs;
pub mod document;
pub mod error;
pub mod event;
pub mod graph;
pub mod hidden;
pub mod log;
pub mod measurement;
mod operations;
pub mod prediction;
pub mod request;
pub mod runtime;
mod schema;
pub mod server;
pub mod session;
pub mod store;
pub mod token;
pub mod user;
pub mod version;

pub use error::Error;
pub use hidden::Hidden;
pub use krt_model::{
    team::{Role, State},
    time::Time,
};
