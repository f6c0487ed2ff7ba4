//! Remote stores behind the words of the embedded one.
//!
//! - [`Documents`]: documents and predictions, embedded or remote.
//! - [`Mongo`]: documents in MongoDB.
//! - [`Influx`]: measurements in InfluxDB.
//! - [`Address`]: where a store is, without its secrets wherever it is shown.
//! - [`mod@https`]: how servers are reached by HTTP.
//! - [`Error`]: what can go wrong.

mod documents;
mod error;
mod https;
mod influx;
mod mongo;

pub use documents::{Documents, Found};
pub use error::Error;
pub use https::https;
pub use influx::{Influx, SPOOL_LIMIT};
pub use krt_model::address::Address;
pub use mongo::Mongo;
