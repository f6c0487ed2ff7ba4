//! `krt run`: runs a package on this machine until Ctrl-C.

use crate::error::Result;
use crate::service::{
    DashboardArgs, End, Ports, Role, Service, ServiceSettings, diagnostics,
    part::{self, ClientPortArgs, PartArgs},
    watch::Watch,
};
use clap::Args;
use krt_runtime::logs::Logs;
use std::{path::PathBuf, process::ExitCode};
use tokio_util::sync::CancellationToken;

/// The arguments of `krt run`.
#[derive(Debug, Args)]
#[command(after_help = "\
The package's configuration comes from --set, --set-file, --env-file and the environment, in this
order.

Exports traces by OTLP if OTEL_EXPORTER_OTLP_ENDPOINT is set; the other standard OTEL_* variables
apply.

Ctrl-C (or SIGTERM) finishes the requests in flight and stops; a second one stops at once.")]
pub(crate) struct RunArgs {
    /// The package: a folder with a krt.yml, or a .krt file
    #[arg(default_value = ".")]
    path: PathBuf,

    #[command(flatten)]
    front: ClientPortArgs,

    /// Restart the nodes whose files change
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    dashboard: DashboardArgs,

    #[command(flatten)]
    part: PartArgs,
}

/// Runs until a signal.
pub(crate) fn execute(args: &RunArgs) -> Result<ExitCode> {
    part::serve(&args.part, async |stop, logs| serve(args, logs, stop).await)
}

async fn serve(args: &RunArgs, logs: &Logs, stop: &CancellationToken) -> Result<()> {
    let mut wanted = args.part.wanted(&args.path, Role::Everything);
    wanted.tls = args.front.tls();
    let limits = args.part.limits(&args.front);
    let front = args.front.open(limits)?;
    let dashboard = args.dashboard.port(&args.front.browsers)?;
    let ports =
        Ports { front: Some(front), dashboard, ..args.part.ports(limits, Some(&args.front.browsers))? };
    if args.watch {
        run_watched(&wanted, logs, ports, stop).await
    } else {
        part::run_once(&wanted, logs, ports, stop).await
    }
}

/// Runs the package again after each change of its krt.yml or its .proto files.
async fn run_watched(
    wanted: &ServiceSettings<'_>,
    logs: &Logs,
    mut ports: Ports,
    stop: &CancellationToken,
) -> Result<()> {
    let mut watch = Watch::start(wanted.path)?;
    loop {
        let opened = tokio::select! {
            opened = Service::open(wanted, logs) => opened,
            () = stop.cancelled() => break,
        };
        let ran = match opened {
            Ok(service) => service.run(&mut ports, wanted, Some(&mut watch), || {}, stop).await,
            Err(error) => Err(error),
        };
        match ran {
            Ok(End::Stopped) => break,
            Ok(End::PackageChanged) => tracing::info!("the package changed: restarting"),
            Err(error) => {
                diagnostics::error(&error, logs);
                tracing::info!("waiting for the package to change");
                ports.front.iter().for_each(|front| front.upstream().failed());
                tokio::select! {
                    _ = watch.next() => {}
                    () = stop.cancelled() => break,
                }
                ports.front.iter().for_each(|front| front.upstream().starting());
            }
        }
    }
    ports.close().await;
    Ok(())
}
