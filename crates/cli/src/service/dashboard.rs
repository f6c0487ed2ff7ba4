//! The dashboard of a single package: on this machine only, without sign-in.

use super::{BrowserArgs, asynchronous, bind};
use crate::error::{Result, bail};
use clap::Args;
use krt_remote::Stores;
use krt_runtime::{
    Engine, Options,
    ingress::{browsers::Hosts, listener::Limits},
};
use krt_serve::{
    Backend, Solo,
    api::{self, App, Public},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The default address; another port if it is in use.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9001);
const FREE_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The arguments for the dashboard.
#[derive(Debug, Clone, Args)]
pub(crate) struct DashboardArgs {
    /// Address of the dashboard, on this machine [default: 127.0.0.1:9001, or a free port]
    #[arg(long, value_name = "ADDRESS", env = "KRT_DASHBOARD", conflicts_with = "no_dashboard")]
    dashboard: Option<SocketAddr>,

    /// Do not serve the dashboard
    #[arg(long)]
    no_dashboard: bool,
}

/// A port for the dashboard or metrics, not for clients, and its host names.
pub(crate) struct Port {
    pub(super) listener: TcpListener,
    pub(super) hosts: Hosts,
}

impl Port {
    /// Binds a port that `flag` names, with additional host names from `browsers`.
    pub(crate) fn open(flag: &str, address: SocketAddr, browsers: Option<&BrowserArgs>) -> Result<Self> {
        let listener = bind(flag, address)?;
        let address = listener.local_addr()?;
        let hosts = browsers.map_or_else(|| Hosts::of(address, Vec::new()), |these| these.hosts(address));
        Ok(Self { listener, hosts })
    }

    /// Its address.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl DashboardArgs {
    /// Binds the dashboard's port, if it is enabled.
    pub(crate) fn port(&self, browsers: &BrowserArgs) -> Result<Option<Port>> {
        let Some(listener) = self.listener()? else { return Ok(None) };
        let hosts = browsers.hosts(listener.local_addr()?);
        Ok(Some(Port { listener, hosts }))
    }

    fn listener(&self) -> Result<Option<TcpListener>> {
        match self.dashboard {
            _ if self.no_dashboard => Ok(None),
            Some(address) if !address.ip().is_loopback() => {
                bail!(
                    "--dashboard {address} is reached from other machines, and nothing asks for a password";
                    hint: "use a loopback address, or `krt serve`"
                )
            }
            Some(address) => bind("--dashboard", address).map(Some),
            // The port may belong to another krt. The log shows the port in use.
            None => {
                bind("--dashboard", DEFAULT_ADDRESS).or_else(|_| bind("--dashboard", FREE_PORT)).map(Some)
            }
        }
    }
}

/// A running dashboard.
pub(super) struct Dashboard {
    task: JoinHandle<()>,
    ended: CancellationToken,
}

/// The content of the dashboard.
pub(super) struct DashboardContent<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) stores: &'a Arc<Stores>,
    /// The address where clients call the package.
    pub(super) front: Option<SocketAddr>,
    /// Whether that address speaks TLS.
    pub(super) tls: bool,
    pub(super) options: Options,
    /// The limits of client connections.
    pub(super) limits: Limits,
}

impl Dashboard {
    /// Serves the dashboard.
    pub(super) fn start(port: &Port, shown: &DashboardContent<'_>) -> Result<Self> {
        // A duplicate handle, since the service may run again on the same port.
        let listener = port.listener.try_clone()?;
        let (address, listener) = (listener.local_addr()?, asynchronous(listener)?);
        let solo = Solo::new(Arc::clone(shown.engine), Arc::clone(shown.stores));
        let public = Public {
            address: shown.front.map(|front| front.to_string()).unwrap_or_default(),
            tls: shown.tls,
            max_message: shown.options.requests.message,
            dashboard: None,
            proxies: Vec::new(),
        };
        let ended = CancellationToken::new();
        let app = App::new(Backend::Solo(Arc::new(solo)), port.hosts.clone(), public, None, ended.clone());
        let task = tokio::spawn(api::run(listener, None, shown.limits, app, ended.clone().cancelled_owned()));
        tracing::info!("the dashboard is at http://{address}");
        Ok(Self { task, ended })
    }

    /// Stops the dashboard.
    pub(super) async fn stop(self) {
        self.ended.cancel();
        // Fails if the task panicked; nothing is left to stop then.
        let _ = self.task.await;
    }
}
