//! From a package to a running server.
//!
//! - [`arguments`]: the flags that say how it runs.
//! - [`configuration`]: values that come from outside the package.
//! - [`launch`]: how each node's process is started, in which environment.
//! - [`signals`]: Ctrl-C and SIGTERM.
//! - [`stores`]: where documents, measurements and logs go.
//! - [`telling`]: how it says what went wrong.
//! - [`watch`]: files that change.

mod arguments;
mod configuration;
pub(crate) mod launch;
pub(crate) mod signals;
mod stores;
pub(crate) mod telling;
pub(crate) mod watch;

pub(crate) use arguments::{EngineArgs, ServiceArgs};
pub(crate) use stores::RemoteArgs;

use anyhow::Context as _;
use krt_environment::Sdk;
use krt_package::Package;
use krt_runtime::{Server, logs::Logs, node::Lifeline};
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
};
use stores::Stores;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use watch::{Change, Watch};

/// A package that is ready to be served.
pub(crate) struct Service {
    server: Server,
    stores: Stores,
    /// What hosts in Python are made of, until they have ended.
    _sdk: Option<Sdk>,
}

/// Where it listens.
pub(crate) struct Ports {
    /// For clients.
    pub(crate) front: TcpListener,
    /// For whoever reads metrics.
    pub(crate) metrics: Option<TcpListener>,
}

impl Ports {
    /// The same ports, for another run of the service.
    pub(crate) fn try_clone(&self) -> std::io::Result<Self> {
        let metrics = self.metrics.as_ref().map(TcpListener::try_clone).transpose()?;
        Ok(Self { front: self.front.try_clone()?, metrics })
    }
}

/// The same port, for the runtime.
pub(crate) fn asynchronous(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// Why a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to.
    Stopped,
    /// The package itself changed: it must be opened anew.
    PackageChanged,
}

impl Service {
    /// Loads a package, opens its stores, and makes its nodes' environments.
    pub(crate) async fn open(
        args: &ServiceArgs,
        path: &Path,
        data: &Path,
        remote: &RemoteArgs,
        logs: &Logs,
    ) -> anyhow::Result<Self> {
        let package = load(path, logs)?;
        let values = args.configuration.values(&package.version)?;
        let stores = Stores::open(&args.engine, remote, data, package.version.name.as_str()).await?;
        logs.keep(stores.store.clone(), &package.version.name);
        let launches =
            launch::prepare(args.engine.python.as_ref(), &package.version.name, &package, &values).await?;
        let server = Server {
            runtime: package.version.name.clone(),
            package,
            launches: launches.nodes,
            store: stores.store.clone(),
            documents: stores.documents.clone(),
            logs: logs.clone(),
            metrics: None,
            lifeline: Arc::new(Lifeline::new().context("failed to make the hosts' lifeline")?),
            options: args.engine.options(),
        };
        Ok(Self { server, stores, _sdk: launches.sdk })
    }

    /// Serves until told to stop, or until the package itself changes. `ready` is called once, when
    /// requests are let in.
    pub(crate) async fn run(
        mut self,
        ports: Ports,
        watch: Option<&mut Watch>,
        ready: impl FnOnce(),
        stop: &CancellationToken,
    ) -> anyhow::Result<End> {
        let listener = asynchronous(ports.front)?;
        self.server.metrics = ports.metrics.map(asynchronous).transpose()?;
        let package = Arc::clone(&self.server.package);
        let (restart, restarts) = mpsc::channel(package.version.nodes.len());
        let mut end = End::Stopped;
        let until = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = restart_changed(watch, &package, restart) => end = End::PackageChanged,
            }
        };
        let served = self.server.run(listener, restarts, ready, until).await;
        self.stores.close().await?;
        served?;
        Ok(end)
    }
}

/// Restarts nodes whose files change; returns when the package itself changed.
async fn restart_changed(watch: Option<&mut Watch>, package: &Package, restart: mpsc::Sender<usize>) {
    let Some(watch) = watch else { return std::future::pending().await };
    loop {
        match watch.next().await.of(package) {
            Change::Package => return,
            Change::Nodes(nodes) => {
                for node in nodes {
                    tracing::info!(node = %package.version.nodes[node].name, "its files changed: restarting");
                    // Fails when the server has ended, which ends this, too.
                    let _ = restart.send(node).await;
                }
            }
        }
    }
}

fn load(path: &Path, logs: &Logs) -> anyhow::Result<Arc<Package>> {
    let package = krt_package::load(path).inspect_err(|error| {
        if let krt_package::Error::Invalid { report, .. } = error {
            telling::report(report, path, logs);
        }
    })?;
    telling::report(&package.warnings, path, logs);
    Ok(Arc::new(package))
}

/// Binds a port before anything slow is done, so that a port in use is told at once.
pub(crate) fn bind(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!("; hint: something listens there already, choose another with {flag}, or port 0 for a free one"),
            std::io::ErrorKind::PermissionDenied => format!("; hint: ports below 1024 need rights, choose another with {flag}"),
            _ => String::new(),
        };
        anyhow::anyhow!("cannot listen on {address}: {error}{hint}")
    })
}

/// Runs a future on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(future);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}
