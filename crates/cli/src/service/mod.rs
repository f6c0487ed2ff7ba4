//! Runs a package as a server.
//!
//! - [`arguments`]: the flags for running a package.
//! - [`browsers`]: browser access.
//! - [`connections`]: limits of connections.
//! - [`configuration`]: configuration values from outside the package.
//! - [`nats`]: the NATS server that connects a version's parts.
//! - [`crash`]: core dumps and memory access.
//! - [`dashboard`]: the dashboard of a single package.
//! - [`isolated`]: what the nodes of an isolated version run in.
//! - [`visible_files`]: the files that an isolated version sees.
//! - [`launch`]: the command and environment of each node's process.
//! - [`older`]: servers for executables of older runners.
//! - [`part`]: code shared by all serving commands.
//! - [`signals`]: Ctrl-C and SIGTERM.
//! - [`stores`]: remote stores, and the runtime that names their databases.
//! - [`diagnostics`]: reports failures.
//! - [`tls`]: TLS of ports.
//! - [`traces`]: export of traces.
//! - [`watch`]: watches files.

mod arguments;
mod browsers;
mod configuration;
mod connections;
pub(crate) mod crash;
mod dashboard;
pub(crate) mod diagnostics;
pub(crate) mod isolated;
pub(crate) mod launch;
mod nats;
pub(crate) mod older;
pub(crate) mod part;
pub(crate) mod signals;
mod stores;
mod tls;
pub(crate) mod traces;
mod visible_files;
pub(crate) mod watch;

pub(crate) use arguments::{EngineArgs, ServiceArgs};
pub(crate) use browsers::BrowserArgs;
pub(crate) use connections::ConnectionArgs;
pub(crate) use dashboard::{DashboardArgs, Port};
pub(crate) use launch::Pythons;
pub(crate) use nats::NatsArgs;
pub(crate) use stores::{RemoteArgs, RuntimeArgs};
pub(crate) use tls::TlsArgs;

use crate::error::{Context as _, Error, Result, ensure, error};
use dashboard::{Dashboard, DashboardContent};
use krt_environment::{Inherited, PythonChoice};
use krt_model::name::VariableName;
use krt_model::version::Runner;
use krt_package::Package;
use krt_reader::CancelHandle;
use krt_remote::Stores;
use krt_runtime::{
    Engine, Options, Parts,
    descriptors::Descriptors,
    ingress::{ClientPort, listener::Limits},
    logs::Logs,
    node::Lifeline,
    server::{self, MetricsPort, Restarts, ServeConfig},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
};
use tokio_util::sync::CancellationToken;
use watch::{Change, Watch};

/// A package that is ready to start.
pub(crate) struct Service {
    parts: Parts,
    stores: Arc<Stores>,
    python: Option<PythonChoice>,
    values: BTreeMap<VariableName, String>,
}

/// The ports of a service.
pub(crate) struct Ports {
    /// For clients. Open from the start, before the nodes run; `None` without an entrypoint.
    pub(crate) front: Option<ClientPort>,
    /// For metrics.
    pub(crate) metrics: Option<Port>,
    /// For the dashboard.
    pub(crate) dashboard: Option<Port>,
    /// The limits of connections.
    pub(crate) limits: Limits,
}

impl Ports {
    /// Closes the client port.
    pub(crate) async fn close(&mut self) {
        if let Some(front) = self.front.take() {
            front.close().await;
        }
    }
}

/// A duplicate handle of the metrics port, for one run of the service.
fn again(port: &Port) -> std::io::Result<MetricsPort> {
    let listener = asynchronous(port.listener.try_clone()?)?;
    Ok(MetricsPort { listener, hosts: port.hosts.clone() })
}

/// The port as a listener of the async runtime.
pub(crate) fn asynchronous(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// The reason a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A signal stopped it.
    Stopped,
    /// The package itself changed and must be reopened.
    PackageChanged,
}

/// The part of a version that runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// The entrypoint and all nodes except external ones.
    Everything,
    /// The entrypoint.
    Entrypoint,
    /// Some nodes, by name.
    Nodes(Vec<String>),
}

/// What to serve, and how.
pub(crate) struct ServiceSettings<'a> {
    /// The package.
    pub(crate) path: &'a Path,
    /// The part of the package.
    pub(crate) role: Role,
    /// The data folder.
    pub(crate) data: &'a Path,
    /// The flags for running it.
    pub(crate) service: &'a ServiceArgs,
    /// Remote stores.
    pub(crate) remote: &'a RemoteArgs,
    /// The runtime of the version.
    pub(crate) runtime: &'a RuntimeArgs,
    /// The NATS server that connects its parts, if they are not all here.
    pub(crate) nats: &'a NatsArgs,
    /// The limit of open files for this process and its workers.
    pub(crate) descriptors: Descriptors,
    /// Whether clients use TLS.
    pub(crate) tls: bool,
}

impl Service {
    /// Loads a package and opens its stores.
    pub(crate) async fn open(wanted: &ServiceSettings<'_>, logs: &Logs) -> Result<Self> {
        let ServiceSettings { path, role, data, service, remote, runtime, nats, descriptors, tls: _ } =
            wanted;
        let package = load(path, logs)?;
        let here = here(&package, role)?;
        let values = match role {
            Role::Entrypoint => BTreeMap::new(),
            Role::Everything | Role::Nodes(_) => service.configuration.values(&package.version)?,
        };
        let version = package.version.name.clone();
        let namespace = runtime.namespace(&package.version);
        let runtime = namespace.runtime().to_owned();
        let options = service.engine.options();
        let broker = match nats.is_given() {
            true => {
                let config = nats.config()?;
                let connection = config.connect(format!("krt {version}")).await?;
                let Options { in_flight, requests, .. } = options;
                Some((connection, config.options(namespace, in_flight, requests.message)))
            }
            false => None,
        };
        let servers = remote.connect().await?;
        let stores = Arc::new(Stores::open(data, &service.engine.store_options(), &servers, &runtime)?);
        logs.save_in(stores.store.clone(), &version);
        let parts = Parts {
            traces: traces::start(&package.version.name),
            package: Arc::new(package),
            runtime,
            here,
            broker,
            store: stores.store.clone(),
            documents: stores.documents.clone(),
            logs: logs.clone(),
            gpus: service.engine.gpus()?,
            lifeline: Arc::new(Lifeline::new(*descriptors).context("failed to make the hosts' lifeline")?),
            options,
        };
        Ok(Self { parts, stores, python: service.engine.python.clone(), values })
    }

    /// Its package.
    pub(crate) fn package(&self) -> Arc<Package> {
        Arc::clone(&self.parts.package)
    }

    /// Its store of measurements, logs and request records.
    pub(crate) fn store(&self) -> krt_store::Store {
        self.parts.store.clone()
    }

    /// Creates the nodes' environments, starts the nodes, and serves until a signal or until the package
    /// itself changes. Calls `ready` once, when the service accepts requests.
    pub(crate) async fn run(
        self,
        ports: &mut Ports,
        wanted: &ServiceSettings<'_>,
        watch: Option<&mut Watch>,
        ready: impl FnOnce(),
        stop: &CancellationToken,
    ) -> Result<End> {
        let Self { parts, stores, python, values } = self;
        let front = ports.front.as_ref().map(ClientPort::address);
        let metrics = ports.metrics.as_ref().map(again).transpose()?;
        let package = Arc::clone(&parts.package);
        let (traces, options) = (parts.traces.clone(), parts.options);
        let (runtime, here) = (parts.runtime.clone(), parts.here.clone());
        let restarts = Restarts::default();
        let mut end = End::Stopped;
        let until = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = restart_changed(watch, &package, &restarts) => end = End::PackageChanged,
            }
        };
        // The environments of Python nodes, and the servers for older runners; both must outlive the nodes.
        let (mut pythons, mut older) = (None, older::Servers::default());
        let prepare = async {
            let executables = launch::executables(&package, &here, Inherited::Shell).await?;
            let (mongo, influx) = (wanted.remote.mongo(), wanted.remote.influx());
            let embedded = older::Stores { store: &stores.store, mongo, influx };
            let message = options.requests.message;
            let needed =
                older::ServerSettings { runtime: &runtime, message, data: wanted.data, nats: wanted.nats };
            let nodes = here.iter().map(|&index| &package.version.nodes[index]);
            older = older::Servers::start(nodes, embedded, needed).await?;
            let files = launch::files(package.is_unpacked());
            let ready = launch::LaunchRequirements {
                python: python.as_ref(),
                files,
                executables,
                older: &older,
                origin: Inherited::Shell,
                isolated: None,
            };
            let launches = launch::prepare(ready, &package, &runtime, &values, &here).await?;
            pythons = launches.pythons;
            Ok::<_, Error>(launches.nodes)
        };
        let served = async {
            let engine = Arc::new(Engine::build(parts, front.is_some()).await?);
            if let Some(front) = &ports.front {
                front.upstream().set_ingress(Arc::clone(engine.ingress()));
            }
            let shown = DashboardContent {
                engine: &engine,
                stores: &stores,
                front,
                tls: wanted.tls,
                options,
                limits: ports.limits,
            };
            let dashboard =
                ports.dashboard.as_ref().map(|port| Dashboard::start(port, &shown)).transpose()?;
            let beside = ServeConfig { front, metrics, limits: ports.limits, restarts: &restarts };
            let served = server::run(&engine, prepare, beside, ready, until).await;
            if let Some(dashboard) = dashboard {
                dashboard.stop().await;
            }
            served
        };
        let served: Result<()> = served.await;
        match &ports.front {
            Some(front) if end == End::PackageChanged => front.upstream().starting(),
            Some(front) if served.is_err() => front.upstream().failed(),
            Some(front) => front.upstream().stopped(),
            None => {}
        }
        if served.is_ok() && end == End::Stopped {
            // Wait until the connections have recorded the requests that were aborted.
            ports.close().await;
        }
        traces.close(traces::FLUSH_TIMEOUT).await;
        older.stop().await;
        stores.close().await;
        served?;
        Ok(end)
    }
}

/// Restarts nodes whose files change; returns when the package itself changes.
async fn restart_changed(watch: Option<&mut Watch>, package: &Package, restarts: &Restarts) {
    let Some(watch) = watch else { return std::future::pending().await };
    loop {
        match watch.next().await.of(package) {
            Change::Package => return,
            Change::Nodes(nodes) => {
                for node in nodes {
                    tracing::info!(node = %package.version.nodes[node].name, "its files changed: restarting");
                    restarts.request(node);
                }
            }
        }
    }
}

/// The nodes that run here, by index.
fn here(package: &Package, role: &Role) -> Result<BTreeSet<usize>> {
    let nodes = &package.version.nodes;
    let external = |index: usize| nodes[index].run.runner == Runner::External;
    match role {
        Role::Entrypoint => Ok(BTreeSet::new()),
        Role::Everything => Ok(package.version.own_nodes().collect()),
        Role::Nodes(names) => names
            .iter()
            .map(|name| {
                let index = named(package, name)?;
                ensure!(
                    !external(index),
                    "node `{name}` is left to another runner (`runner: external`)";
                    hint: "`krt env {name}` says how to start it"
                );
                Ok(index)
            })
            .collect(),
    }
}

/// The index of the node with a name.
pub(crate) fn named(package: &Package, name: &str) -> Result<usize> {
    let nodes = &package.version.nodes;
    nodes.iter().position(|node| node.name.as_str() == name).ok_or_else(|| {
        let known: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
        error!("the package has no node `{name}`"; hint: "it has {}", known.join(", "))
    })
}

fn load(path: &Path, logs: &Logs) -> Result<Package> {
    let package = krt_reader::load(path, &CancelHandle::default()).inspect_err(|error| {
        if let krt_package::Error::Invalid { report, .. } = error {
            diagnostics::report(report, path, logs);
        }
    })?;
    diagnostics::report(&package.warnings, path, logs);
    Ok(package)
}

/// The listener's backlog; the system may lower it. A client that finds the backlog full retries after
/// seconds.
const BACKLOG: i32 = 4096;

/// Binds a port before any slow work, so that a port in use fails at once.
pub(crate) fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        rustix::net::listen(&listener, BACKLOG)?;
        Ok(listener)
    });
    bound.map_err(|error| {
        let refused = error!("cannot listen on {address}: {error}");
        match error.kind() {
            std::io::ErrorKind::AddrInUse => refused.hint(format_args!(
                "something listens there already, choose another with {flag}, or port 0 for a free one"
            )),
            std::io::ErrorKind::PermissionDenied => {
                refused.hint(format_args!("ports below 1024 need rights, choose another with {flag}"))
            }
            _ => refused,
        }
    })
}

/// Runs a future on an async runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(future);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}
