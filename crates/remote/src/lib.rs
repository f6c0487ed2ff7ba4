//! Remote stores with the interface of the embedded one.
//!
//! - [`Documents`]: documents and predictions, embedded or remote.
//! - [`Mongo`]: documents in MongoDB.
//! - [`Influx`]: measurements in InfluxDB.
//! - [`Address`]: a store's address, shown without its secrets.
//! - [`mod@https`]: HTTP connections to servers.
//! - [`Error`]: errors of remote stores.

mod documents;
mod error;
mod found;
mod https;
mod influx;
mod mongo;

pub use documents::Documents;
pub use error::Error;
pub use found::Found;
pub use https::{AUTHORITY_HINT, https};
pub use influx::{Influx, SPOOL_LIMIT};
pub use krt_model::address::Address;
pub use mongo::Mongo;
