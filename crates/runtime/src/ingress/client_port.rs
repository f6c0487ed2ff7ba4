//! The client port of one version, answered from the moment it is bound.

use super::{
    VersionRouter,
    browsers::Rules,
    listener::{self, DescriptorReserve, Limits, Port, Tls},
    upstream::Upstream,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// How long open connections may take to finish when the port closes.
const GRACE: Duration = Duration::from_secs(5);

/// The client port. It answers until it is closed, whether or not its version is up.
#[derive(Debug)]
pub struct ClientPort {
    upstream: Arc<Upstream>,
    address: SocketAddr,
    closed: CancellationToken,
    task: JoinHandle<()>,
}

impl ClientPort {
    /// Opens the port, without a version, to clients that `rules` allow.
    pub fn open(listener: TcpListener, tls: Tls, limits: Limits, rules: Rules) -> io::Result<Self> {
        let (upstream, closed) = (Arc::new(Upstream::default()), CancellationToken::new());
        let address = listener.local_addr()?;
        let router = VersionRouter::one(Arc::clone(&upstream), rules);
        let port = Port { tls, limits, reserved: DescriptorReserve::CLIENTS, grace: GRACE };
        let task = tokio::spawn(listener::run(listener, port, router, closed.clone().cancelled_owned()));
        Ok(Self { upstream, address, closed, task })
    }

    /// The version behind the port.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Returns the address of the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets open connections finish, then closes them.
    pub async fn close(self) {
        self.closed.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the port of clients was lost: {error}");
        }
    }
}
