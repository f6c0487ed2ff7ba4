//! Limits of connections.

use crate::values::duration;
use clap::Args;
use krt_runtime::ingress::listener::Limits;
use std::time::Duration;

/// The limits of a port's connections.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectionArgs {
    /// Most open connections of clients; the dashboard has a quarter of it [default: 4096, or three quarters of the limit on open files]
    #[arg(long, value_name = "N", env = "KRT_MAX_CONNECTIONS", help_heading = "Connections", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,

    /// Time that a client has to finish the TLS handshake and to send the headers of a request
    #[arg(long, value_name = "DURATION", default_value = "30s", env = "KRT_HEADER_TIMEOUT", value_parser = duration, help_heading = "Connections")]
    header_timeout: Duration,

    /// Time that a connection may be idle; HTTP/2 connections stay open while the client answers pings
    #[arg(long, value_name = "DURATION", default_value = "120s", env = "KRT_IDLE_TIMEOUT", value_parser = duration, help_heading = "Connections")]
    idle_timeout: Duration,

    /// Time that an answer waits for a client that does not read it
    #[arg(long, value_name = "DURATION", default_value = "60s", env = "KRT_WRITE_TIMEOUT", value_parser = duration, help_heading = "Connections")]
    write_timeout: Duration,
}

impl ConnectionArgs {
    /// The limits for the service's port, where up to `requests` requests may be in flight. Call it after
    /// raising the limit of file descriptors.
    pub(crate) fn limits(&self, requests: usize) -> Limits {
        let usual = Limits::default().connections;
        Limits {
            connections: self.max_connections.map_or(usual, |most| most as usize),
            requests: requests.saturating_mul(4),
            header: self.header_timeout,
            idle: self.idle_timeout,
            write: self.write_timeout,
        }
    }
}
