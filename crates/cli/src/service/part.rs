//! Code shared by `krt run`, `krt entrypoint` and `krt node`, which run a part of a version.

use super::{
    BrowserArgs, ConnectionArgs, NatsArgs, Ports, RemoteArgs, Role, RuntimeArgs, Service, ServiceArgs,
    ServiceSettings, TlsArgs, asynchronous, bind, block_on, crash, dashboard::Port, diagnostics, signals,
};
use crate::{error::Result, exit};
use clap::Args;
use krt_runtime::{
    descriptors::Descriptors,
    ingress::{ClientPort, listener::Limits},
    logs::Logs,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio_util::sync::CancellationToken;

/// The arguments of every part.
#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    /// Address to serve Prometheus metrics on, at /metrics [default: none]
    #[arg(long, value_name = "ADDRESS", env = "KRT_METRICS")]
    metrics: Option<SocketAddr>,

    /// Folder for measurements, documents, predictions and logs
    #[arg(long, value_name = "DIR", default_value = ".krt", env = "KRT_DATA")]
    data: PathBuf,

    #[command(flatten)]
    nats: NatsArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    runtime: RuntimeArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

impl PartArgs {
    /// What a process that has just started should serve of the package at `path`.
    pub(crate) fn wanted<'a>(&'a self, path: &'a Path, role: Role) -> ServiceSettings<'a> {
        let Self { data, nats, remote, runtime, service, .. } = self;
        let descriptors = Descriptors::raise();
        ServiceSettings { path, role, data, service, remote, runtime, nats, descriptors, tls: false }
    }

    /// Binds the metrics port, with additional host names from `browsers`. `limits` are for the client port.
    pub(crate) fn ports(&self, limits: Limits, browsers: Option<&BrowserArgs>) -> Result<Ports> {
        let open = |address| Port::open("--metrics", address, browsers);
        let metrics = self.metrics.map(open).transpose()?;
        Ok(Ports { front: None, metrics, dashboard: None, limits })
    }

    /// The limits of client connections.
    pub(crate) fn limits(&self, front: &ClientPortArgs) -> Limits {
        front.connections.limits(self.service.engine.options().in_flight.requests)
    }

    /// Fails if no NATS server was given.
    pub(crate) fn need_nats(&self) -> Result<()> {
        self.nats.address().map(drop)
    }
}

/// The arguments for the client port.
#[derive(Debug, Args)]
pub(crate) struct ClientPortArgs {
    /// Address to serve gRPC and HTTP on; port 0 picks a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", env = "KRT_LISTEN")]
    listen: SocketAddr,

    #[command(flatten)]
    tls: TlsArgs,

    #[command(flatten)]
    connections: ConnectionArgs,

    #[command(flatten)]
    pub(crate) browsers: BrowserArgs,
}

impl ClientPortArgs {
    /// Binds the port before any slow work. From now on, clients receive the answer that the service is
    /// starting.
    pub(crate) fn open(&self, limits: Limits) -> Result<ClientPort> {
        let tls = self.tls.load()?;
        let listener = asynchronous(bind("--listen", self.listen)?)?;
        let rules = self.browsers.rules(listener.local_addr()?);
        Ok(ClientPort::open(listener, tls, limits, rules)?)
    }

    /// Whether clients use TLS.
    pub(crate) fn tls(&self) -> bool {
        self.tls.is_set()
    }
}

/// Runs `work` to its end; reports an error to the logs.
pub(crate) fn serve(
    args: &PartArgs,
    work: impl AsyncFnOnce(&CancellationToken, &Logs) -> Result<()>,
) -> Result<ExitCode> {
    crash::leave_no_core();
    block_on(async move {
        let stop = signals::stop()?;
        let logs = args.service.engine.logs()?;
        let ran = work(&stop, &logs).await;
        if let Err(error) = &ran {
            diagnostics::error(error, &logs);
        }
        logs.flush();
        Ok(if ran.is_ok() { exit::SUCCESS } else { exit::FAILURE })
    })
}

/// Serves until a signal.
pub(crate) async fn run_once(
    wanted: &ServiceSettings<'_>,
    logs: &Logs,
    mut ports: Ports,
    stop: &CancellationToken,
) -> Result<()> {
    let opened = tokio::select! {
        opened = Service::open(wanted, logs) => opened.map(Some),
        () = stop.cancelled() => Ok(None),
    };
    let ran = match opened {
        Ok(Some(service)) => service.run(&mut ports, wanted, None, || {}, stop).await.map(drop),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    ports.close().await;
    ran
}
