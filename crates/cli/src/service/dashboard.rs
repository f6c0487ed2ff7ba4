//! The dashboard of one package alone: for this machine, without signing in.

use super::{asynchronous, bind};
use anyhow::bail;
use clap::Args;
use krt_remote::Documents;
use krt_runtime::{Engine, Options};
use krt_serve::{
    House, Solo,
    api::{self, Access, App, Public},
    team::Site,
};
use krt_store::Store;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where it is, unless that is taken.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9001);
const FREE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where the dashboard is.
#[derive(Debug, Clone, Args)]
pub(crate) struct DashboardArgs {
    /// Where the dashboard is, on this machine [default: 127.0.0.1:9001, or a free port]
    #[arg(long, value_name = "ADDRESS", env = "KRT_DASHBOARD", conflicts_with = "no_dashboard")]
    dashboard: Option<SocketAddr>,

    /// Run without the dashboard
    #[arg(long)]
    no_dashboard: bool,
}

impl DashboardArgs {
    /// Binds its port, if there is to be one.
    pub(crate) fn port(&self) -> anyhow::Result<Option<TcpListener>> {
        match self.dashboard {
            _ if self.no_dashboard => Ok(None),
            Some(address) if !address.ip().is_loopback() => bail!(
                "--dashboard {address} is reached from other machines, and nobody signs in; hint: take a \
                 loopback address, or `krt serve`"
            ),
            Some(address) => bind("--dashboard", address).map(Some),
            // Another krt may be at work: this one is found by its log.
            None => bind("--dashboard", USUAL).or_else(|_| bind("--dashboard", FREE)).map(Some),
        }
    }
}

/// The dashboard while it is served.
pub(super) struct Dashboard {
    task: JoinHandle<()>,
    ended: CancellationToken,
}

/// What it shows.
pub(super) struct Shown<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) store: Store,
    pub(super) documents: Documents,
    /// Where clients call the package.
    pub(super) front: Option<SocketAddr>,
    pub(super) options: Options,
}

impl Dashboard {
    /// Serves what is shown.
    pub(super) fn start(listener: TcpListener, shown: Shown<'_>) -> anyhow::Result<Self> {
        let (address, listener) = (listener.local_addr()?, asynchronous(listener)?);
        let solo = Solo::new(Arc::clone(shown.engine), Site::borrowed(shown.store, shown.documents));
        let public = Public {
            address: shown.front.map(|front| front.to_string()).unwrap_or_default(),
            tls: false,
            max_message: shown.options.requests.message,
            dashboard: None,
        };
        let ended = CancellationToken::new();
        let app = App::new(House::Solo(Arc::new(solo)), Access::of(address), public, None, ended.clone());
        let task = tokio::spawn(api::run(listener, None, app, ended.clone().cancelled_owned()));
        tracing::info!("the dashboard is at http://{address}");
        Ok(Self { task, ended })
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        self.ended.cancel();
        // Fails when it panicked: there is nothing left to end.
        let _ = self.task.await;
    }
}
