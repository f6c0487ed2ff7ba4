//! `krt serve`: a team's server, until Ctrl-C.
//!
//! - [`tls`]: how its ports speak TLS.
//! - [`admin`]: the first user.
//! - [`openid`]: who else lets users in.

mod admin;
mod openid;
mod tls;

use crate::{
    exit,
    service::{EngineArgs, asynchronous, bind, block_on, launch, signals, telling, traces},
    terminal,
    values::size,
};
use anyhow::{Context as _, bail};
use clap::Args;
use krt_environment::PythonChoice;
use krt_registry::Registry;
use krt_runtime::{
    entry::{Gate, listen},
    logs::Logs,
    node::Lifeline,
};
use krt_serve::{
    House, Team,
    api::{self, Access, App, Origin, Public},
    openid::Provider,
    team::{Outside, Prepare, Prepared, outside::Order},
};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::{runtime::Handle, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// What `krt serve` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The first start makes the user `admin`. Its password is that in KRT_ADMIN_PASSWORD, or a random one in
the file `admin-password` of the data folder.

Clients reach the published version of the runtime that they name by the metadata `krt-runtime`, or by
its host name; with one runtime they need not. Those who hold a token reach any version that runs, by
the metadata `krt-version` and `authorization: Bearer TOKEN`.

Ctrl-C (or SIGTERM) finishes the requests in work and stops; a second one stops at once. What ran then
is started again by the next start.")]
pub(crate) struct ServeArgs {
    /// Where gRPC and HTTP are served; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", env = "KRT_LISTEN")]
    listen: SocketAddr,

    /// Where the dashboard and its API are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001", env = "KRT_DASHBOARD")]
    dashboard: SocketAddr,

    /// Where browsers reach the dashboard, if not by its address: behind a proxy, that of the proxy
    #[arg(long, value_name = "URL", env = "KRT_DASHBOARD_URL")]
    dashboard_url: Option<Origin>,

    /// Where everything is kept: versions, users, measurements, documents, logs
    #[arg(long, value_name = "DIR", default_value = ".krt-server", env = "KRT_DATA")]
    data: PathBuf,

    /// The largest package that can be uploaded
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = size, help_heading = "Limits")]
    max_package: usize,

    #[command(flatten)]
    tls: tls::TlsArgs,

    #[command(flatten)]
    openid: openid::OpenIdArgs,

    #[command(flatten)]
    engine: EngineArgs,
}

/// Serves until told to stop.
pub(crate) fn execute(args: ServeArgs) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let stop = signals::stop()?;
        let logs = args.engine.logs()?;
        let served = serve(&args, &logs, &stop).await;
        if let Err(error) = &served {
            telling::error(error, &logs);
        }
        logs.flush();
        Ok(if served.is_ok() { exit::SUCCESS } else { exit::FAILURE })
    })
}

async fn serve(args: &ServeArgs, logs: &Logs, stop: &CancellationToken) -> anyhow::Result<()> {
    let tls = args.tls.load()?;
    for (flag, address) in [("--listen", args.listen), ("--dashboard", args.dashboard)] {
        require_safe(flag, address, args)?;
    }
    let provider = args.openid.provider(|| reached(args))?;
    let (front, dashboard) = (bind("--listen", args.listen)?, bind("--dashboard", args.dashboard)?);
    let (front_at, dashboard_at) = (front.local_addr()?, dashboard.local_addr()?);
    let data = args.data.clone();
    let registry = Arc::new(tokio::task::spawn_blocking(move || Registry::open(&data)).await??);
    admin::first(&registry, &args.data).await?;
    let lifeline = Arc::new(Lifeline::new().context("failed to make the hosts' lifeline")?);
    let team = Team::new(registry, outside(args), logs.clone(), lifeline);

    let stopped = CancellationToken::new();
    let mut ports = JoinSet::new();
    let grace = args.engine.options().drain + Duration::from_secs(5);
    let gate = Gate::Many(Arc::clone(team.directory()));
    let ended = stopped.clone().cancelled_owned();
    ports.spawn(listen::run(asynchronous(front)?, tls.clone(), gate, ended, grace));
    if let Some(provider) = &provider {
        // It may be away for now; who signs in asks it again.
        if let Err(error) = provider.discover().await {
            tracing::warn!("{error}");
        }
    }
    let app = app(args, &team, provider, front_at, dashboard_at);
    ports.spawn(api::run(asynchronous(dashboard)?, tls.clone(), app, stopped.clone().cancelled_owned()));

    team.boot().await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    tracing::info!("listening on {front_at}");
    tracing::info!("the dashboard is at {scheme}://{dashboard_at}");
    stop.cancelled().await;
    stopped.cancel();
    team.end().await;
    // What was given up at last is noted by its connection.
    ports.join_all().await;
    team.close().await;
    Ok(())
}

fn app(
    args: &ServeArgs,
    team: &Arc<Team>,
    provider: Option<Provider>,
    front: SocketAddr,
    dashboard: SocketAddr,
) -> App {
    let public = Public {
        address: front.to_string(),
        tls: args.tls.is_set(),
        max_message: args.engine.options().requests.message,
        dashboard: args.dashboard_url.clone(),
    };
    App::new(House::Team(Arc::clone(team)), Access::of(dashboard), public, provider, team.ended().clone())
}

/// Where browsers reach the dashboard, for others to send them there.
fn reached(args: &ServeArgs) -> anyhow::Result<String> {
    let address = args.dashboard;
    match &args.dashboard_url {
        Some(url) => Ok(url.to_string()),
        None if address.port() == 0 || address.ip().is_unspecified() => {
            bail!("the OpenID provider must know where to send browsers back to; hint: give --dashboard-url")
        }
        None => Ok(format!("{}://{address}", if args.tls.is_set() { "https" } else { "http" })),
    }
}

/// Passwords and tokens do not cross a network in the clear, unless somebody says so.
fn require_safe(flag: &str, address: SocketAddr, args: &ServeArgs) -> anyhow::Result<()> {
    if address.ip().is_loopback() || args.tls.is_set() || args.tls.is_waived() {
        return Ok(());
    }
    bail!(
        "{flag} {address} is reached from other machines, and TLS is not set; hint: give --tls-cert and \
         --tls-key, or, behind a proxy that speaks TLS, --insecure"
    )
}

async fn prepare(python: Option<PythonChoice>, order: Order) -> Result<Prepared, String> {
    let Order { runtime, package, values, logs } = order;
    let all = (0..package.version.nodes.len()).collect();
    let prepared =
        logs.around(launch::prepare(python.as_ref(), &package, runtime.as_str(), &values, &all)).await;
    let launches = prepared.map_err(|error| terminal::chain(&error))?;
    let traces = traces::start(&package.version.name);
    Ok(Prepared { launches: launches.nodes, traces, keep: Box::new(launches.sdk) })
}

fn outside(args: &ServeArgs) -> Outside {
    let python = args.engine.python.clone();
    let prepare: Prepare = Box::new(move |order| {
        let python = python.clone();
        // On a thread of its own: much of it blocks, as files do.
        let handle = Handle::current();
        let preparing = tokio::task::spawn_blocking(move || handle.block_on(prepare(python, order)));
        Box::pin(async move { preparing.await.map_err(|error| error.to_string())? })
    });
    Outside {
        prepare,
        options: args.engine.options(),
        store: args.engine.store_options(),
        max_package: args.max_package as u64,
    }
}
