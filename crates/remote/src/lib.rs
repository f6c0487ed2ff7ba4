//! Remote stores behind the words of the embedded one.
//!
//! - [`Documents`]: documents and predictions, embedded or remote.
//! - [`Mongo`]: documents in MongoDB.
//! - [`Address`]: where a store is, without its secrets wherever it is shown.
//! - [`Error`]: what can go wrong.

mod address;
mod documents;
mod error;
mod mongo;

pub use address::Address;
pub use documents::{Documents, Found};
pub use error::Error;
pub use mongo::Mongo;
