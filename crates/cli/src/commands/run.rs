//! `krt run`: a package at work on this machine, until Ctrl-C.

use crate::{
    exit,
    service::{End, Ports, RemoteArgs, Service, ServiceArgs, bind, block_on, signals, telling, watch::Watch},
};
use clap::Args;
use krt_runtime::logs::Logs;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};
use tokio_util::sync::CancellationToken;

/// What `krt run` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Configuration that the package names is looked for in --set, --set-file, --env-file and the
environment, in this order.

Ctrl-C (or SIGTERM) finishes the requests in work and stops; a second one stops at once.")]
pub(crate) struct RunArgs {
    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Where gRPC and HTTP are served; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", env = "KRT_LISTEN")]
    listen: SocketAddr,

    /// Where Prometheus reads metrics, at /metrics; nowhere if not set
    #[arg(long, value_name = "ADDRESS", env = "KRT_METRICS")]
    metrics: Option<SocketAddr>,

    /// Where measurements, documents, predictions and logs are kept
    #[arg(long, value_name = "DIR", default_value = ".krt", env = "KRT_DATA")]
    data: PathBuf,

    /// Restart the nodes whose files change
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Runs until told to stop.
pub(crate) fn execute(args: RunArgs) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let stop = signals::stop()?;
        let logs = args.service.engine.logs()?;
        let ran = serve(&args, &logs, &stop).await;
        if let Err(error) = &ran {
            telling::error(error, &logs);
        }
        logs.flush();
        Ok(if ran.is_ok() { exit::SUCCESS } else { exit::FAILURE })
    })
}

async fn serve(args: &RunArgs, logs: &Logs, stop: &CancellationToken) -> anyhow::Result<()> {
    let ports = Ports {
        front: bind("--listen", args.listen)?,
        metrics: args.metrics.map(|address| bind("--metrics", address)).transpose()?,
    };
    if args.watch {
        run_watched(args, logs, &ports, stop).await
    } else {
        run_once(args, logs, ports, stop).await
    }
}

async fn run_once(args: &RunArgs, logs: &Logs, ports: Ports, stop: &CancellationToken) -> anyhow::Result<()> {
    let opened = tokio::select! {
        opened = Service::open(&args.service, &args.path, &args.data, &args.remote, logs) => opened?,
        () = stop.cancelled() => return Ok(()),
    };
    opened.run(ports, None, || {}, stop).await.map(drop)
}

/// Runs the package anew each time that its krt.yml or its .proto files change.
async fn run_watched(
    args: &RunArgs,
    logs: &Logs,
    ports: &Ports,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut watch = Watch::start(&args.path)?;
    loop {
        let opened = tokio::select! {
            opened = Service::open(&args.service, &args.path, &args.data, &args.remote, logs) => opened,
            () = stop.cancelled() => return Ok(()),
        };
        let ran = match opened {
            Ok(service) => service.run(ports.try_clone()?, Some(&mut watch), || {}, stop).await,
            Err(error) => Err(error),
        };
        match ran {
            Ok(End::Stopped) => return Ok(()),
            Ok(End::PackageChanged) => tracing::info!("the package changed: starting anew"),
            Err(error) => {
                telling::error(&error, logs);
                tracing::info!("waiting for the package to change");
                tokio::select! {
                    _ = watch.next() => {}
                    () = stop.cancelled() => return Ok(()),
                }
            }
        }
    }
}
