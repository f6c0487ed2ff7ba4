//! The flags that say which NATS server the parts of a version meet at, and how they speak there.

use crate::values::seconds;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use krt_broker::{Compression, Connection, Era, connection, stream};
use krt_model::address::Address;
use krt_runtime::{Options, nats};
use std::{path::PathBuf, time::Duration};

/// Which NATS server, and how.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "NATS")]
pub(crate) struct NatsArgs {
    /// The NATS server that the parts of the version meet at: nats://HOST:4222, with USER:PASSWORD@ or
    /// TOKEN@ before the host where it asks for them; tls://… for TLS; several with commas between
    #[arg(long, value_name = "URL", env = "KRT_NATS_SERVER", hide_env_values = true)]
    nats: Option<Address>,

    /// How messages travel
    #[arg(long, value_enum, default_value_t, value_name = "MODE", env = "KRT_NATS_MODE")]
    nats_mode: Mode,

    /// A credentials file (.creds) to sign in with
    #[arg(long, value_name = "FILE", env = "KRT_NATS_CREDS")]
    nats_creds: Option<PathBuf>,

    /// A file with the seed of the nkey to sign in with
    #[arg(long, value_name = "FILE", env = "KRT_NATS_NKEY")]
    nats_nkey: Option<PathBuf>,

    /// A PEM file with the certificates that the server's may be signed by, besides the system's
    #[arg(long, value_name = "FILE", env = "KRT_NATS_CA")]
    nats_ca: Option<PathBuf>,

    /// A PEM file with the certificate to show the server
    #[arg(long, value_name = "FILE", requires = "nats_key", env = "KRT_NATS_CERT")]
    nats_cert: Option<PathBuf>,

    /// A PEM file with the key of --nats-cert
    #[arg(long, value_name = "FILE", requires = "nats_cert", env = "KRT_NATS_KEY")]
    nats_key: Option<PathBuf>,

    /// How large messages are compressed; runners of other kinds understand gzip only
    #[arg(long, value_enum, default_value_t, value_name = "METHOD")]
    compression: Method,

    /// How many times a message is given out at the most, before it is a dead letter (jetstream)
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u64).range(1..=1000))]
    tries: u64,

    /// How long nothing is heard of a message in work, before it is given out again (jetstream)
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    ack_wait: Duration,
}

/// How messages travel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// As with runners 1.x and 2.0: fast, nothing is kept
    #[default]
    Core,
    /// As with runners 2.1: kept until their work is done
    Jetstream,
}

/// How large messages are compressed.
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
    /// Whether a server is named.
    pub(crate) fn is_given(&self) -> bool {
        self.nats.is_some()
    }

    /// The server.
    pub(crate) fn address(&self) -> anyhow::Result<&Address> {
        self.nats.as_ref().context("no NATS server is named; hint: --nats nats://HOST:4222")
    }

    /// Which era's subjects are used.
    pub(crate) fn era(&self) -> Era {
        match self.nats_mode {
            Mode::Core => Era::Core,
            Mode::Jetstream => Era::JetStream,
        }
    }

    /// Connects; `name` is what the server calls the connection.
    pub(crate) async fn connect(&self, name: String) -> anyhow::Result<Connection> {
        let options = connection::Options {
            servers: self.address()?.clone(),
            name,
            credentials: self.nats_creds.clone(),
            nkey: self.nats_nkey.clone(),
            ca: self.nats_ca.clone(),
            certificate: self.nats_cert.clone().zip(self.nats_key.clone()),
        };
        Ok(Connection::open(&options).await?)
    }

    /// How a version speaks there.
    pub(super) fn options(&self, runtime: &str, held_to: &Options) -> nats::Options {
        nats::Options {
            runtime: runtime.to_owned(),
            era: self.era(),
            compression: match self.compression {
                Method::Gzip => Compression::Gzip,
                Method::Zstd => Compression::Zstd,
                Method::Lz4 => Compression::Lz4,
            },
            stream: stream::Limits { tries: self.tries, ack_wait: self.ack_wait },
            work: held_to.work,
            message: held_to.requests.message,
        }
    }
}
