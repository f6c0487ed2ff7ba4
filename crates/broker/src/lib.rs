//! KRT v1 over NATS: how runners speak to one another, in both wire protocols (docs/reference/krt-v1.md#messages-over-nats).
//!
//! Pure, without a connection:
//! - [`envelope`]: the message from node to node.
//! - [`compression`]: compression of messages.
//! - [`header`]: the headers of a message.
//! - `hops`: the calls of handlers in a header.
//! - [`subject`]: subjects, streams and consumers.
//!
//! With a connection:
//! - [`connection`]: address, credentials and state.
//! - [`sender`]: sends messages in order.
//! - [`intake`]: incoming messages of one stage of a workflow.
//! - [`listener`]: current messages on a subject.
//! - [`acker`]: acknowledgement of messages.
//! - [`stream`]: the streams and consumers of JetStream.
//! - [`private`]: a separate stream for one process of an older runner.
//! - [`dead`]: dead letters.

pub mod acker;
pub mod compression;
pub mod connection;
pub mod dead;
pub mod envelope;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod header;
mod hops;
pub mod intake;
pub mod listener;
mod message;
mod private;
pub mod sender;
pub mod stream;
pub mod subject;
mod timestamp;

pub use acker::Acker;
pub use compression::Compression;
pub use connection::Connection;
pub use envelope::Envelope;
pub use error::Error;
pub use header::Headers;
pub use intake::{Incoming, Intake};
pub use listener::{Listener, Received};
pub use private::PrivateStream;
pub use sender::{Message, Sender};
pub use subject::{Namespace, StageRef, WireProtocol};
