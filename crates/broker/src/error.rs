//! Why the broker cannot be used.

use krt_model::address::Address;
use std::{io, path::PathBuf};

/// Why the broker cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is none of NATS.
    #[error(
        "`{address}` is no URL of NATS: {reason}; hint: nats://HOST:4222, or several with commas between"
    )]
    Address {
        /// The URL, without its secrets.
        address: Address,
        /// Why not.
        reason: String,
    },
    /// More than one way to sign in was given.
    #[error("NATS is given both {one} and {other}; hint: one way to sign in is enough")]
    Ambiguous {
        /// One way.
        one: &'static str,
        /// Another.
        other: &'static str,
    },
    /// A file that is needed to connect cannot be used.
    #[error("`{}` cannot be used as {what}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The server does not answer, or not as NATS does.
    #[error(
        "NATS at {address} cannot be reached: {reason}; hint: is the server up, and is the address right?"
    )]
    Unreachable {
        /// The URL, without its secrets.
        address: Address,
        /// Why not, without secrets.
        reason: String,
    },
    /// The server does not let us in.
    #[error(
        "NATS at {address} refuses the sign-in; hint: a user and a password or a token stand in the URL, a credentials file is given with --nats-creds, an nkey with --nats-nkey"
    )]
    Refused {
        /// The URL, without its secrets.
        address: Address,
    },
    /// The server's certificate, or ours, does not fit.
    #[error(
        "TLS with NATS at {address} fails: {reason}; hint: --nats-ca names the certificate that the server's is signed by"
    )]
    Tls {
        /// The URL, without its secrets.
        address: Address,
        /// Why.
        reason: String,
    },
    /// The server has no JetStream.
    #[error("NATS at {address} has no JetStream; hint: start nats-server with -js, or use --nats-mode core")]
    NoJetStream {
        /// The URL, without its secrets.
        address: Address,
    },
    /// A stream or a consumer cannot be made or used.
    #[error("{what} cannot be {done}: {reason}")]
    JetStream {
        /// The stream or the consumer.
        what: String,
        /// What was tried, such as "made".
        done: &'static str,
        /// The server's words.
        reason: String,
    },
    /// The connection was closed for good.
    #[error("the connection to NATS is closed")]
    Closed,
}
