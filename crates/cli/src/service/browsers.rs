//! Browser access: the flags shared by `krt run` and `krt serve`.

use clap::Args;
use krt_runtime::ingress::browsers::{Allowed, HostName, Hosts, Rules};
use std::net::SocketAddr;

/// The arguments for browser access.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Browsers")]
pub(crate) struct BrowserArgs {
    /// The origins whose pages may call the service.
    #[arg(
        long = "allow-origin",
        value_name = "ORIGIN",
        env = "KRT_ALLOW_ORIGIN",
        value_delimiter = ',',
        help = "Allow web pages of this origin to call the service, such as https://app.example.com. `*` allows every \
                origin, without cookies [default: none]"
    )]
    origins: Vec<Allowed>,

    /// Also accept requests for this host name on loopback ports [default: localhost, 127.0.0.0/8 and
    /// ::1]
    #[arg(long = "allow-host", value_name = "NAME", env = "KRT_ALLOW_HOST", value_delimiter = ',')]
    hosts: Vec<HostName>,
}

impl BrowserArgs {
    /// The rules for browser requests on the client port.
    pub(crate) fn rules(&self, address: SocketAddr) -> Rules {
        Rules { hosts: self.hosts(address), origins: self.origins.iter().cloned().collect() }
    }

    /// The host names of a port.
    pub(crate) fn hosts(&self, address: SocketAddr) -> Hosts {
        Hosts::of(address, self.hosts.clone())
    }
}
