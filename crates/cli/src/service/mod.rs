//! From a package to a running server.
//!
//! - [`arguments`]: the flags that say how it runs.
//! - [`configuration`]: values that come from outside the package.
//! - [`nats`]: which NATS server the parts of a version meet at.
//! - [`dashboard`]: the dashboard of one package alone.
//! - [`launch`]: how each node's process is started, in which environment.
//! - [`part`]: what all that serve have in common.
//! - [`signals`]: Ctrl-C and SIGTERM.
//! - [`stores`]: where documents, measurements and logs go.
//! - [`telling`]: how it says what went wrong.
//! - [`traces`]: where traces go.
//! - [`watch`]: files that change.

mod arguments;
mod configuration;
mod dashboard;
pub(crate) mod launch;
mod nats;
pub(crate) mod part;
pub(crate) mod signals;
mod stores;
pub(crate) mod telling;
pub(crate) mod traces;
pub(crate) mod watch;

pub(crate) use arguments::{EngineArgs, ServiceArgs};
pub(crate) use dashboard::DashboardArgs;
pub(crate) use nats::NatsArgs;
pub(crate) use stores::RemoteArgs;

use anyhow::Context as _;
use dashboard::{Dashboard, Shown};
use krt_environment::Sdk;
use krt_model::version::Runner;
use krt_package::Package;
use krt_runtime::{Engine, Server, logs::Logs, node::Lifeline, server};
use std::{
    collections::{BTreeMap, BTreeSet},
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
    /// For clients; none where there is no entrypoint.
    pub(crate) front: Option<TcpListener>,
    /// For whoever reads metrics.
    pub(crate) metrics: Option<TcpListener>,
    /// For whoever looks with a browser.
    pub(crate) dashboard: Option<TcpListener>,
}

impl Ports {
    /// The same ports, for another run of the service.
    pub(crate) fn try_clone(&self) -> std::io::Result<Self> {
        let again = |port: &Option<TcpListener>| port.as_ref().map(TcpListener::try_clone).transpose();
        Ok(Self {
            front: again(&self.front)?,
            metrics: again(&self.metrics)?,
            dashboard: again(&self.dashboard)?,
        })
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

/// Which part of a version runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// The entrypoint and all nodes that are not left to others.
    Everything,
    /// The entrypoint.
    Entrypoint,
    /// Some nodes, by their names.
    Nodes(Vec<String>),
}

/// What is to be served.
pub(crate) struct Wanted<'a> {
    /// The package.
    pub(crate) path: &'a Path,
    /// Which part of it.
    pub(crate) role: Role,
    /// Where data is kept.
    pub(crate) data: &'a Path,
    /// How it runs.
    pub(crate) service: &'a ServiceArgs,
    /// Stores elsewhere.
    pub(crate) remote: &'a RemoteArgs,
    /// Where its parts meet, if they are not all here.
    pub(crate) nats: &'a NatsArgs,
}

impl Service {
    /// Loads a package, opens its stores, and makes its nodes' environments.
    pub(crate) async fn open(wanted: &Wanted<'_>, logs: &Logs) -> anyhow::Result<Self> {
        let Wanted { path, role, data, service, remote, nats } = wanted;
        let package = load(path, logs)?;
        let here = here(&package, role, nats)?;
        let values = match role {
            Role::Entrypoint => BTreeMap::new(),
            Role::Everything | Role::Nodes(_) => service.configuration.values(&package.version)?,
        };
        let version = &package.version.name;
        let runtime = remote.runtime(&package.version);
        let options = service.engine.options();
        let broker = match nats.is_given() {
            true => {
                let connection = nats.connect(format!("krt {version}")).await?;
                Some((connection, nats.options(&runtime, &options)))
            }
            false => None,
        };
        let stores = Stores::open(&service.engine, remote, data, &runtime).await?;
        logs.keep(stores.store.clone(), version);
        let python = service.engine.python.as_ref();
        let launches = launch::prepare(python, &package, &runtime, &values, &here).await?;
        let server = Server {
            traces: traces::start(&package.version.name),
            package,
            runtime,
            launches: launches.nodes,
            broker,
            store: stores.store.clone(),
            documents: stores.documents.clone(),
            logs: logs.clone(),
            lifeline: Arc::new(Lifeline::new().context("failed to make the hosts' lifeline")?),
            options,
        };
        Ok(Self { server, stores, _sdk: launches.sdk })
    }

    /// Serves until told to stop, or until the package itself changes. `ready` is called once, when
    /// requests are let in.
    pub(crate) async fn run(
        self,
        ports: Ports,
        watch: Option<&mut Watch>,
        ready: impl FnOnce(),
        stop: &CancellationToken,
    ) -> anyhow::Result<End> {
        let front = ports.front.as_ref().and_then(|port| port.local_addr().ok());
        let page = ports.dashboard;
        let ports = server::Ports {
            front: ports.front.map(asynchronous).transpose()?,
            metrics: ports.metrics.map(asynchronous).transpose()?,
        };
        let package = Arc::clone(&self.server.package);
        let traces = self.server.traces.clone();
        let (restart, restarts) = mpsc::channel(package.version.nodes.len());
        let mut end = End::Stopped;
        let until = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = restart_changed(watch, &package, restart) => end = End::PackageChanged,
            }
        };
        let Stores { store, documents, .. } = &self.stores;
        let (store, documents, options) = (store.clone(), documents.clone(), self.server.options);
        let served = async {
            let engine = Arc::new(Engine::build(self.server, ports.front.is_some()).await?);
            let shown = Shown { engine: &engine, store, documents, front, options };
            let dashboard = page.map(|port| Dashboard::start(port, shown)).transpose()?;
            let served = server::run(&engine, ports, restarts, ready, until).await;
            if let Some(dashboard) = dashboard {
                dashboard.stop().await;
            }
            anyhow::Ok(served?)
        };
        let served = served.await;
        traces.close(traces::FLUSH).await;
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

/// Which nodes run here, by their index.
fn here(package: &Package, role: &Role, nats: &NatsArgs) -> anyhow::Result<BTreeSet<usize>> {
    let nodes = &package.version.nodes;
    let external = |index: usize| nodes[index].run.runner == Runner::External;
    match role {
        Role::Entrypoint => Ok(BTreeSet::new()),
        Role::Everything if nats.is_given() => {
            Ok((0..nodes.len()).filter(|&index| !external(index)).collect())
        }
        Role::Everything => match nodes.iter().position(|node| node.run.runner == Runner::External) {
            Some(index) => anyhow::bail!(
                "node `{}` is left to another runner (`runner: external`), which speaks over NATS; hint: --nats nats://HOST:4222",
                nodes[index].name
            ),
            None => Ok((0..nodes.len()).collect()),
        },
        Role::Nodes(names) => names
            .iter()
            .map(|name| {
                let index = named(package, name)?;
                anyhow::ensure!(
                    !external(index),
                    "node `{name}` is left to another runner (`runner: external`); hint: `krt env {name}` says how to start it"
                );
                Ok(index)
            })
            .collect(),
    }
}

/// The node of a name.
pub(crate) fn named(package: &Package, name: &str) -> anyhow::Result<usize> {
    let nodes = &package.version.nodes;
    nodes.iter().position(|node| node.name.as_str() == name).with_context(|| {
        let known: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
        format!("the package has no node `{name}`; hint: it has {}", known.join(", "))
    })
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
