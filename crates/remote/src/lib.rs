//! Remote stores with the interface of the embedded one.
//!
//! - [`Documents`]: documents and predictions, embedded or remote.
//! - [`Mongo`]: documents in MongoDB.
//! - [`Influx`]: measurements in InfluxDB.
//! - [`Stores`]: the stores of a runtime, embedded and remote.
//! - [`Servers`]: the servers of remote stores.
//! - [`Address`]: a store's address, shown without its secrets.
//! - [`mod@https`]: HTTP connections to servers.
//! - [`Error`]: errors of remote stores.

mod document_stream;
mod documents;
mod error;
mod https;
mod influx;
mod mongo;
mod stores;

pub use document_stream::DocumentStream;
pub use documents::Documents;
pub use error::Error;
pub use https::{AUTHORITY_HINT, https};
pub use influx::{Influx, InfluxState, InfluxWatch, SPOOL_LIMIT};
pub use krt_model::address::Address;
pub use mongo::{Mongo, MongoServer, database_name};
pub use stores::{Servers, Stores};
