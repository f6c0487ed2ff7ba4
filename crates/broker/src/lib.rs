//! KRT v1 over NATS: how runners speak to one another, in both eras (KRT v1, "On the wire").
//!
//! Pure, without a connection:
//! - [`envelope`]: what travels from node to node.
//! - [`compression`]: which bytes travel compressed, and how.
//! - [`header`]: what stands beside an envelope.
//! - [`subject`]: where it travels.
//!
//! With one:
//! - [`connection`]: where the server is, who we are, and whether it is up.
//! - [`sender`]: sends in order what is to be sent.
//! - [`intake`]: what comes for one station of a workflow.
//! - [`listener`]: what is sent to a subject now.
//! - [`receipt`]: what the server is told of a message that was taken from it.
//! - [`stream`]: the streams and consumers of the second era.
//! - [`dead`]: messages that were given up.

pub mod compression;
pub mod connection;
pub mod dead;
pub mod envelope;
mod error;
pub mod header;
pub mod intake;
pub mod listener;
mod moment;
pub mod receipt;
pub mod sender;
pub mod stream;
pub mod subject;

pub use compression::Compression;
pub use connection::Connection;
pub use envelope::Envelope;
pub use error::Error;
pub use header::Headers;
pub use intake::{Incoming, Intake};
pub use listener::{Heard, Listener};
pub use receipt::Receipt;
pub use sender::{Message, Sender};
pub use subject::{Era, Place};
