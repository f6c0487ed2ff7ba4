//! The flags for the NATS server that connects a version's parts.

use crate::{
    error::{Context as _, Hint as _, Result, bail},
    values::duration,
};
use clap::{Args, ValueEnum};
use krt_broker::{Compression, Connection, WireProtocol, connection, stream};
use krt_model::address::Address;
use krt_runtime::nats;
use std::{path::PathBuf, time::Duration};

/// The arguments for the NATS server.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "NATS")]
pub(crate) struct NatsArgs {
    /// NATS server that connects the parts of the version: nats://HOST:4222, or tls:// for TLS. Put
    /// USER:PASSWORD@ or TOKEN@ before the host to sign in, and commas between several servers
    #[arg(long, value_name = "URL", env = "KRT_NATS_SERVER", hide_env_values = true)]
    nats: Option<Address>,

    /// Wire protocol of KRT v1 to use
    #[arg(long, value_enum, default_value_t, value_name = "MODE", env = "KRT_NATS_MODE")]
    nats_mode: Mode,

    /// Credentials file (.creds) to sign in with
    #[arg(long, value_name = "FILE", env = "KRT_NATS_CREDS")]
    nats_creds: Option<PathBuf>,

    /// File with the seed of the nkey to sign in with
    #[arg(long, value_name = "FILE", env = "KRT_NATS_NKEY")]
    nats_nkey: Option<PathBuf>,

    /// PEM file of certificate authorities to trust besides the system's
    #[arg(long, value_name = "FILE", env = "KRT_NATS_CA")]
    nats_ca: Option<PathBuf>,

    /// PEM file with the client certificate
    #[arg(long, value_name = "FILE", requires = "nats_key", env = "KRT_NATS_CERT")]
    nats_cert: Option<PathBuf>,

    /// PEM file with the private key of --nats-cert
    #[arg(long, value_name = "FILE", requires = "nats_cert", env = "KRT_NATS_KEY")]
    nats_key: Option<PathBuf>,

    /// Replicas of each stream in a NATS cluster (jetstream): with 3, one server may fail or lose its disk
    /// [default: 1 for new streams; existing streams keep theirs]
    #[arg(long, value_name = "N", env = "KRT_NATS_REPLICAS", value_parser = clap::value_parser!(u8).range(1..=5))]
    nats_replicas: Option<u8>,

    /// Compression of large messages; other runners of KRT v1 understand gzip only
    #[arg(long, value_enum, default_value_t, value_name = "METHOD")]
    compression: Method,

    /// Most deliveries of a message before it becomes a dead letter (jetstream)
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u64).range(1..=1000))]
    tries: u64,

    /// Time without a sign of life after which a message in flight is redelivered (jetstream)
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    ack_wait: Duration,
}

/// The wire protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Plain NATS, as runners 1.x and 2.0 use it: fast, messages are not stored
    #[default]
    Core,
    /// JetStream, as runners 2.1 use it: messages are stored until they are acknowledged
    Jetstream,
}

/// The compression of large messages.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Method {
    /// Above 1 MiB
    #[default]
    Gzip,
    /// Above 64 KiB, smaller and faster than gzip
    Zstd,
    /// Above 64 KiB, the fastest
    Lz4,
}

impl NatsArgs {
    /// Whether a server was given.
    pub(crate) fn is_given(&self) -> bool {
        self.nats.is_some()
    }

    /// The server's address.
    pub(crate) fn address(&self) -> Result<&Address> {
        self.nats.as_ref().context("no NATS server is named").hint("--nats nats://HOST:4222")
    }

    /// Refuses options that cannot be passed to an older runner's executable in a URL.
    pub(super) fn require_plain_url(&self) -> Result<()> {
        let files = [
            ("--nats-creds", &self.nats_creds),
            ("--nats-nkey", &self.nats_nkey),
            ("--nats-ca", &self.nats_ca),
            ("--nats-cert", &self.nats_cert),
        ];
        match files.iter().find(|(_, file)| file.is_some()) {
            None => Ok(()),
            Some((flag, _)) => {
                bail!(
                    "executables of kre-go 2.1 sign in at NATS by its URL alone, and know no {flag}";
                    hint: "let them have a user or a token in the URL of --nats"
                )
            }
        }
    }

    /// The wire protocol, which determines the subjects.
    pub(crate) fn protocol(&self) -> WireProtocol {
        match self.nats_mode {
            Mode::Core => WireProtocol::Core,
            Mode::Jetstream => WireProtocol::JetStream,
        }
    }

    /// Connects; `name` identifies the connection on the server.
    pub(crate) async fn connect(&self, name: String) -> Result<Connection> {
        Ok(self.config()?.connect(name).await?)
    }

    /// The server, and how versions use it.
    pub(crate) fn config(&self) -> Result<nats::ServerConfig> {
        let connection = connection::Options {
            servers: self.address()?.clone(),
            name: String::new(),
            credentials: self.nats_creds.clone(),
            nkey: self.nats_nkey.clone(),
            ca: self.nats_ca.clone(),
            certificate: self.nats_cert.clone().zip(self.nats_key.clone()),
        };
        Ok(nats::ServerConfig {
            connection,
            protocol: self.protocol(),
            compression: match self.compression {
                Method::Gzip => Compression::Gzip,
                Method::Zstd => Compression::Zstd,
                Method::Lz4 => Compression::Lz4,
            },
            stream: stream::Limits {
                tries: self.tries,
                ack_wait: self.ack_wait,
                replicas: self.nats_replicas,
            },
        })
    }
}
