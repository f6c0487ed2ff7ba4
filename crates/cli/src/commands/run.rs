//! `krt run`: a package at work on this machine, until Ctrl-C.

use crate::service::{
    DashboardArgs, End, Ports, Role, Service, Wanted,
    part::{self, PartArgs},
    telling,
    watch::Watch,
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

Traces are exported by OTLP if OTEL_EXPORTER_OTLP_ENDPOINT names a receiver; the other standard
variables, OTEL_*, say how.

Ctrl-C (or SIGTERM) finishes the requests in work and stops; a second one stops at once.")]
pub(crate) struct RunArgs {
    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Where gRPC and HTTP are served; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", env = "KRT_LISTEN")]
    listen: SocketAddr,

    /// Restart the nodes whose files change
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    dashboard: DashboardArgs,

    #[command(flatten)]
    part: PartArgs,
}

/// Runs until told to stop.
pub(crate) fn execute(args: &RunArgs) -> anyhow::Result<ExitCode> {
    part::serve(&args.part, async |stop, logs| serve(args, logs, stop).await)
}

async fn serve(args: &RunArgs, logs: &Logs, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut ports = args.part.ports(Some(args.listen))?;
    ports.dashboard = args.dashboard.port()?;
    let wanted = args.part.wanted(&args.path, Role::Everything);
    if args.watch {
        run_watched(&wanted, logs, &ports, stop).await
    } else {
        part::run_once(&wanted, logs, ports, stop).await
    }
}

/// Runs the package anew each time that its krt.yml or its .proto files change.
async fn run_watched(
    wanted: &Wanted<'_>,
    logs: &Logs,
    ports: &Ports,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut watch = Watch::start(wanted.path)?;
    loop {
        let opened = tokio::select! {
            opened = Service::open(wanted, logs) => opened,
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
