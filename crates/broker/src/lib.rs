//! How the runners of KRT v1 speak to one another over NATS (KRT v1, "On the wire").
//!
//! - [`envelope`]: what travels from node to node.
//! - [`subject`]: where it travels, in both eras of KRT v1.
//!
//! Nothing here opens a connection.

pub mod envelope;
mod moment;
pub mod subject;

pub use envelope::Envelope;
pub use subject::{Era, Place};
