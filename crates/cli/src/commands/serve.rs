//! `krt serve`: runs a team's server until Ctrl-C.
//!
//! - [`admin`]: creates the first user.
//! - [`isolate`]: isolates versions.
//! - [`openid`]: OpenID Connect sign-in.

mod admin;
mod isolate;
mod openid;

use crate::{
    error::{Context as _, Error, Result, bail},
    exit,
    service::{
        BrowserArgs, ConnectionArgs, EngineArgs, NatsArgs, RemoteArgs, TlsArgs, asynchronous, bind, block_on,
        crash, diagnostics, launch, older, signals, traces,
    },
    values::size,
};
use clap::Args;
use ipnet::IpNet;
use isolate::Isolator;
use krt_environment::{Files, Inherited, PythonChoice};
use krt_model::{
    hint,
    version::{Generation, Node},
};
use krt_registry::{AuditRetention, Registry};
use krt_remote::Servers;
use krt_runtime::{
    descriptors::Descriptors,
    gpus::Gpus,
    ingress::{
        VersionRouter,
        listener::{self, DescriptorReserve, Port},
    },
    logs::Logs,
    nats,
    node::Lifeline,
};
use krt_serve::{
    Backend, Team,
    api::{self, App, Origin, Public},
    openid::Provider,
    team::{LaunchConfig, Prepare, Prepared, launch::PrepareRequest},
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{runtime::Handle, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// The arguments of `krt serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
The first start creates the user `admin`, with the password in KRT_ADMIN_PASSWORD, or a random one
that is written to the file `admin-password` in the data folder.

Clients select a runtime by the metadata `krt-runtime` or by a host name, and reach its published
version; with one runtime they need neither. A manager's token reaches any running version by the
metadata `krt-version` and `authorization: Bearer TOKEN`.

With --mongo, --influx or --nats, each runtime has databases, subjects and streams of its own there.
Deleting a runtime deletes them, and deleting a version deletes its streams.

Ctrl-C (or SIGTERM) finishes the requests in flight and stops; a second one stops at once. The
next start starts the same versions again.")]
pub(crate) struct ServeArgs {
    /// Address to serve gRPC and HTTP on; port 0 picks a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", env = "KRT_LISTEN")]
    listen: SocketAddr,

    /// Address of the dashboard and its API
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001", env = "KRT_DASHBOARD")]
    dashboard: SocketAddr,

    /// URL of the dashboard for browsers, such as that of a proxy in front of it
    #[arg(long, value_name = "URL", env = "KRT_DASHBOARD_URL")]
    dashboard_url: Option<Origin>,

    /// Proxies in front of the dashboard whose `X-Forwarded-For` is trusted: addresses or networks, such as
    /// 10.0.0.0/8
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', value_parser = network, env = "KRT_TRUSTED_PROXY")]
    trusted_proxy: Vec<IpNet>,

    /// Folder for versions, users, measurements, documents and logs
    #[arg(long, value_name = "DIR", default_value = ".krt-server", env = "KRT_DATA")]
    data: PathBuf,

    /// Largest package that can be uploaded
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = size, help_heading = "Limits")]
    max_package: usize,

    /// Days to keep entries of the audit log
    #[arg(long, value_name = "DAYS", default_value = "365", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Data")]
    keep_audit_days: u32,

    /// Most disk space for the audit log; failed sign-ins may take a quarter of it
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size, help_heading = "Data")]
    keep_audit_size: usize,

    #[command(flatten)]
    tls: TlsArgs,

    /// Accept other machines without TLS; only for use behind a proxy that terminates TLS
    #[arg(long, help_heading = "TLS")]
    insecure: bool,

    #[command(flatten)]
    isolate: isolate::IsolateArgs,

    #[command(flatten)]
    connections: ConnectionArgs,

    #[command(flatten)]
    browsers: BrowserArgs,

    #[command(flatten)]
    openid: openid::OpenIdArgs,

    #[command(flatten)]
    nats: NatsArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    engine: EngineArgs,
}

/// Serves until a signal.
pub(crate) fn execute(args: ServeArgs) -> Result<ExitCode> {
    crash::leave_no_core();
    crash::keep_memory_private();
    // Files of the server and its nodes are private to the server's user.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    block_on(async move {
        let stop = signals::stop()?;
        let logs = args.engine.logs()?;
        let served = serve(&args, &logs, &stop).await;
        if let Err(error) = &served {
            diagnostics::error(error, &logs);
        }
        logs.flush();
        Ok(if served.is_ok() { exit::SUCCESS } else { exit::FAILURE })
    })
}

async fn serve(args: &ServeArgs, logs: &Logs, stop: &CancellationToken) -> Result<()> {
    let tls = args.tls.load()?;
    let descriptors = Descriptors::raise();
    for (flag, address) in [("--listen", args.listen), ("--dashboard", args.dashboard)] {
        require_safe(flag, address, args)?;
    }
    let provider = args.openid.provider(|| reached(args))?.map(Arc::new);
    let (front, dashboard) = (bind("--listen", args.listen)?, bind("--dashboard", args.dashboard)?);
    let (front_at, dashboard_at) = (front.local_addr()?, dashboard.local_addr()?);
    let data = args.data.clone();
    let registry = Arc::new(tokio::task::spawn_blocking(move || Registry::open(&data)).await??);
    admin::first(&registry, &args.data).await?;
    let lifeline = Arc::new(Lifeline::new(descriptors).context("failed to make the hosts' lifeline")?);
    let gpus = args.engine.gpus()?;
    let isolator = args.isolate.isolator(&args.data, &lifeline).await?;
    let stores = tokio::select! {
        stores = remote_stores(args) => stores?,
        () = stop.cancelled() => return Ok(()),
    };
    let team = Team::new(registry, launch(args, gpus, isolator, stores), logs.clone(), lifeline);

    let stopped = CancellationToken::new();
    let mut ports = JoinSet::new();
    let grace = args.engine.options().drain + Duration::from_secs(5);
    let router = VersionRouter::many(Arc::clone(team.directory()), args.browsers.rules(front_at));
    let ended = stopped.clone().cancelled_owned();
    let (limits, reserved) =
        (args.connections.limits(args.engine.options().in_flight.requests), DescriptorReserve::CLIENTS);
    let port = Port { tls: tls.clone(), limits, reserved, grace };
    ports.spawn(listener::run(asynchronous(front)?, port, router, ended));
    if let Some(provider) = &provider {
        ports.spawn(try_provider(Arc::clone(provider), stopped.clone()));
    }
    warn_of_shared_address(args);
    let app = app(args, &team, provider, front_at, dashboard_at);
    let ended = stopped.clone().cancelled_owned();
    ports.spawn(api::run(asynchronous(dashboard)?, tls.clone(), limits, app, ended));

    let (of, retention) = (Arc::clone(&team), retention(args));
    ports.spawn(async move { of.apply_audit_retention(retention).await });

    team.boot().await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    tracing::info!("listening on {front_at}");
    tracing::info!("the dashboard is at {scheme}://{dashboard_at}");
    stop.cancelled().await;
    stopped.cancel();
    team.end().await;
    // Wait until the connections have recorded the requests that were aborted.
    ports.join_all().await;
    team.close().await;
    Ok(())
}

/// The servers that versions use: of remote stores, and NATS.
async fn remote_stores(args: &ServeArgs) -> Result<(Servers, Option<nats::Server>)> {
    let nats = match args.nats.is_given() {
        true => Some(nats::Server::open(args.nats.config()?).await?),
        false => None,
    };
    Ok((args.remote.connect().await?, nats))
}

/// Reports an invalid provider early. If the provider is unreachable, each sign-in tries again.
async fn try_provider(provider: Arc<Provider>, stopped: CancellationToken) {
    tokio::select! {
        tried = provider.discover() => if let Err(error) = tried {
            tracing::warn!("{}", hint::line(&error));
        },
        () = stopped.cancelled() => {}
    }
}

fn app(
    args: &ServeArgs,
    team: &Arc<Team>,
    provider: Option<Arc<Provider>>,
    front: SocketAddr,
    dashboard: SocketAddr,
) -> App {
    let public = Public {
        address: front.to_string(),
        tls: args.tls.is_set(),
        max_message: args.engine.options().requests.message,
        dashboard: args.dashboard_url.clone(),
        proxies: args.trusted_proxy.clone(),
    };
    let hosts = args.browsers.hosts(dashboard);
    App::new(Backend::Team(Arc::clone(team)), hosts, public, provider, team.ended().clone())
}

/// Parses an IP address or a network.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(address);
    network.ok_or_else(|| format!("`{text}` is not an address or network, such as 127.0.0.1 or 10.0.0.0/8"))
}

fn retention(args: &ServeArgs) -> AuditRetention {
    let age = Duration::from_secs(u64::from(args.keep_audit_days) * 24 * 3600);
    AuditRetention { age, size: args.keep_audit_size as u64 }
}

/// Warns that all users behind an untrusted proxy share one address, so that one user's failed sign-ins delay
/// all users.
fn warn_of_shared_address(args: &ServeArgs) {
    let proxy = args.dashboard_url.as_ref().is_some_and(Origin::is_secure) && !args.tls.is_set();
    if proxy && args.trusted_proxy.is_empty() {
        tracing::warn!(
            hint = %"name the proxy with --trusted-proxy, such as --trusted-proxy 127.0.0.1",
            "all users who sign in through the proxy share one limit of failed attempts"
        );
    }
}

/// The dashboard's URL for browsers, as redirect target.
fn reached(args: &ServeArgs) -> Result<String> {
    let address = args.dashboard;
    match &args.dashboard_url {
        Some(url) => Ok(url.to_string()),
        None if address.port() == 0 || address.ip().is_unspecified() => {
            bail!(
                "the OpenID provider must know where to send browsers back to";
                hint: "give --dashboard-url"
            )
        }
        None => Ok(format!("{}://{address}", if args.tls.is_set() { "https" } else { "http" })),
    }
}

/// Refuses to send passwords and tokens over a network unencrypted, unless `--insecure` is set.
fn require_safe(flag: &str, address: SocketAddr, args: &ServeArgs) -> Result<()> {
    if address.ip().is_loopback() || args.tls.is_set() || args.insecure {
        return Ok(());
    }
    bail!(
        "{flag} {address} is reached from other machines, and TLS is not set";
        hint: "give --tls-cert and --tls-key, or, behind a proxy that speaks TLS, --insecure"
    )
}

/// What every version is prepared with.
#[derive(Debug, Clone)]
struct Preparation {
    python: Option<PythonChoice>,
    message: usize,
    data: PathBuf,
    isolator: Option<Isolator>,
    nats: NatsArgs,
    remote: RemoteArgs,
}

async fn prepare(with: Preparation, order: PrepareRequest) -> Result<Prepared, String> {
    let logs = order.logs.clone();
    let Preparation { python, message, data, isolator, nats, remote } = with;
    let preparing = async {
        let PrepareRequest { runtime, package, here, environment, values, store, .. } = order;
        let runtime = runtime.as_str();
        let nodes = || here.iter().map(|&index| &package.version.nodes[index]);
        if isolator.is_some() {
            require_no_secrets(nodes(), &nats, &remote)?;
        }
        let (executables, isolated, leased) = match isolator {
            None => (launch::executables(&package, &here, Inherited::Server).await?, None, None),
            Some(isolator) => {
                let (isolation, leased) = isolator.lease()?;
                let (python, lifeline) = (python.as_ref(), isolator.lifeline());
                let (executables, isolated) =
                    launch::isolate(python, &package, isolation, &environment, lifeline).await?;
                (executables, Some(isolated), Some(leased))
            }
        };
        let data = data.join("older-runners").join(runtime).join(package.version.name.as_str());
        let needed = older::ServerSettings { runtime, message, data: &data, nats: &nats };
        let stores = older::Stores { store: &store, mongo: remote.mongo(), influx: remote.influx() };
        let older = older::Servers::start(nodes(), stores, needed).await?;
        // Each version has an unpacked copy of its own, which does not change.
        let files = Files::Fixed;
        let ready = launch::LaunchRequirements {
            python: python.as_ref(),
            files,
            executables,
            older: &older,
            origin: Inherited::Server,
            isolated,
        };
        let launches = launch::prepare(ready, &package, runtime, &values, &here).await?;
        Ok::<_, Error>(Prepared {
            launches: launches.nodes,
            keep: Box::new((launches.pythons, older, leased)),
        })
    };
    logs.around(preparing).await.map_err(|error| error.line())
}

/// Refuses executables of older runners in isolation where they would get the sign-in to a server that all versions
/// share.
fn require_no_secrets<'a>(
    nodes: impl Iterator<Item = &'a Node>,
    nats: &NatsArgs,
    remote: &RemoteArgs,
) -> Result<()> {
    for node in nodes {
        let Some(older) = node.run.runner.older() else { continue };
        let nats = older.generation == Generation::JetStream && nats.is_given();
        let given = [
            ("--nats", nats),
            ("--mongo", remote.mongo().is_some()),
            ("--influx", remote.influx().is_some()),
        ];
        if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
            bail!(
                "node `{}` was built with an older runner, which would get the URL of {flag} with its secrets, and \
                 --isolate keeps these from versions",
                node.name;
                hint: "build the node with the SDK of krt, or run it on a server without {flag}"
            );
        }
    }
    Ok(())
}

fn launch(
    args: &ServeArgs,
    gpus: Arc<Gpus>,
    isolator: Option<Isolator>,
    (servers, nats): (Servers, Option<nats::Server>),
) -> LaunchConfig {
    let with = Preparation {
        python: args.engine.python.clone(),
        message: args.engine.options().requests.message,
        data: args.data.clone(),
        isolator,
        nats: args.nats.clone(),
        remote: args.remote.clone(),
    };
    let prepare: Prepare = Box::new(move |order| {
        let with = with.clone();
        let wanted = CancellationToken::new();
        let unwanted = wanted.clone();
        // Use a separate thread, since much of it blocks, such as file access.
        let handle = Handle::current();
        let preparing = tokio::task::spawn_blocking(move || {
            handle.block_on(async {
                tokio::select! {
                    prepared = prepare(with, order) => prepared,
                    () = unwanted.cancelled() => Err("the version was stopped".to_owned()),
                }
            })
        });
        Box::pin(async move {
            // Stopping a version that is still starting also stops its installers.
            let _unwanted = wanted.drop_guard();
            preparing.await.map_err(|error| error.to_string())?
        })
    });
    LaunchConfig {
        prepare,
        traces: Box::new(traces::start),
        gpus,
        options: args.engine.options(),
        store: args.engine.store_options(),
        servers,
        nats,
        max_package: args.max_package as u64,
    }
}
