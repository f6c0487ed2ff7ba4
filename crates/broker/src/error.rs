//! Why the broker cannot be used.

use krt_model::{address::Address, certificate};
use std::{io, path::PathBuf};

/// Why the broker cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// The URL is not valid for NATS.
    #[error("`{address}` is not a NATS URL: {reason}")]
    #[diagnostic(help("nats://HOST:4222, or several with commas between"))]
    Address {
        /// The URL, without its secrets.
        address: Address,
        /// The reason.
        reason: String,
    },
    /// More than one kind of credentials was given.
    #[error("NATS is given both {one} and {other}")]
    #[diagnostic(help("one way to sign in is enough"))]
    Ambiguous {
        /// One kind.
        one: &'static str,
        /// Another kind.
        other: &'static str,
    },
    /// A file needed to connect cannot be used.
    #[error("`{}` cannot be used as {what}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Its purpose.
        what: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The server does not answer, or not like NATS.
    #[error("NATS at {address} cannot be reached: {reason}")]
    #[diagnostic(help("is the server up, and is the address right?"))]
    Unreachable {
        /// The URL, without its secrets.
        address: Address,
        /// The reason, without secrets.
        reason: String,
    },
    /// The server refuses the credentials.
    #[error("NATS at {address} rejects the credentials")]
    #[diagnostic(help(
        "put a user and password, or a token, in the URL, or use --nats-creds or --nats-nkey"
    ))]
    Refused {
        /// The URL, without its secrets.
        address: Address,
    },
    /// The server's certificate, or this client's, is not accepted.
    #[error("TLS with NATS at {address} fails: {reason}")]
    #[diagnostic(help("{}", certificate::hint(.reason, "--nats-ca").as_deref().unwrap_or("does it speak TLS on this port?")))]
    Tls {
        /// The URL, without its secrets.
        address: Address,
        /// The reason.
        reason: String,
    },
    /// The server has no JetStream.
    #[error("NATS at {address} has no JetStream")]
    #[diagnostic(help("start nats-server with -js, or use --nats-mode core"))]
    NoJetStream {
        /// The URL, without its secrets.
        address: Address,
    },
    /// A stream or a consumer cannot be created or used.
    #[error("{what} cannot be {done}: {reason}")]
    JetStream {
        /// The stream or the consumer.
        what: String,
        /// The attempted action, such as "made".
        done: &'static str,
        /// The server's error text.
        reason: String,
    },
    /// Another process takes the consumer's messages.
    #[error("{what} cannot be used: another runner takes its messages")]
    #[diagnostic(help("stop it, or say `runner: external` for the node"))]
    InUse {
        /// The consumer.
        what: String,
    },
    /// The cluster cannot keep as many copies of a stream as required.
    #[error("the stream `{stream}` cannot have {replicas} replicas: {reason}")]
    #[diagnostic(help("--nats-replicas needs as many servers with JetStream, in one cluster"))]
    Replicas {
        /// The stream.
        stream: String,
        /// The required number.
        replicas: u8,
        /// The server's error text.
        reason: String,
    },
    /// The connection was closed for good.
    #[error("the connection to NATS is closed")]
    Closed,
}
