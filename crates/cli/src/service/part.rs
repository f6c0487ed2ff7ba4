//! What `krt run`, `krt entrypoint` and `krt node` have in common: each is a part of a version at work.

use super::{
    NatsArgs, Ports, RemoteArgs, Role, Service, ServiceArgs, Wanted, bind, block_on, signals, telling,
};
use crate::exit;
use clap::Args;
use krt_runtime::logs::Logs;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio_util::sync::CancellationToken;

/// What every part takes.
#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    /// Where Prometheus reads metrics, at /metrics; nowhere if not set
    #[arg(long, value_name = "ADDRESS", env = "KRT_METRICS")]
    metrics: Option<SocketAddr>,

    /// Where measurements, documents, predictions and logs are kept
    #[arg(long, value_name = "DIR", default_value = ".krt", env = "KRT_DATA")]
    data: PathBuf,

    #[command(flatten)]
    nats: NatsArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

impl PartArgs {
    /// What is to be served of the package at `path`.
    pub(crate) fn wanted<'a>(&'a self, path: &'a Path, role: Role) -> Wanted<'a> {
        let Self { data, nats, remote, service, .. } = self;
        Wanted { path, role, data, service, remote, nats }
    }

    /// Binds the ports, before anything slow is done.
    pub(crate) fn ports(&self, listen: Option<SocketAddr>) -> anyhow::Result<Ports> {
        Ok(Ports {
            front: listen.map(|address| bind("--listen", address)).transpose()?,
            metrics: self.metrics.map(|address| bind("--metrics", address)).transpose()?,
            dashboard: None,
        })
    }

    /// Says what is missing, where there is no NATS server.
    pub(crate) fn need_nats(&self) -> anyhow::Result<()> {
        self.nats.address().map(drop)
    }
}

/// Runs `work` until it ends; an error is told where the logs go.
pub(crate) fn serve(
    args: &PartArgs,
    work: impl AsyncFnOnce(&CancellationToken, &Logs) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let stop = signals::stop()?;
        let logs = args.service.engine.logs()?;
        let ran = work(&stop, &logs).await;
        if let Err(error) = &ran {
            telling::error(error, &logs);
        }
        logs.flush();
        Ok(if ran.is_ok() { exit::SUCCESS } else { exit::FAILURE })
    })
}

/// Serves what is wanted, until told to stop.
pub(crate) async fn run_once(
    wanted: &Wanted<'_>,
    logs: &Logs,
    ports: Ports,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let opened = tokio::select! {
        opened = Service::open(wanted, logs) => opened?,
        () = stop.cancelled() => return Ok(()),
    };
    opened.run(ports, None, || {}, stop).await.map(drop)
}
