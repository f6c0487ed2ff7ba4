//! Starts a package for a command that calls it, and stops it afterwards.

use super::Start;
use crate::{
    error::{Context as _, Result, bail},
    service::{
        NatsArgs, Port, Ports, RemoteArgs, Role, RuntimeArgs, Service, ServiceArgs, ServiceSettings,
        asynchronous, bind, signals,
    },
};
use krt_package::Package;
use krt_runtime::{
    descriptors::Descriptors,
    ingress::{ClientPort, browsers::Rules, listener::Limits},
    logs::Logs,
};
use krt_store::Store;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// A package that runs.
pub(in crate::commands) struct Running {
    /// Where its RPCs are.
    pub(in crate::commands) address: SocketAddr,
    /// Where its metrics are.
    pub(in crate::commands) metrics: SocketAddr,
    /// The package.
    pub(in crate::commands) package: Arc<Package>,
    /// Its store of measurements, logs and request records.
    pub(in crate::commands) store: Store,
    /// Ctrl-C or SIGTERM: `work` should end.
    pub(in crate::commands) interrupted: CancellationToken,
}

/// Starts the package at `path` on ports of its own, runs `work` against it, and stops it. Requests in flight
/// finish, whether or not `work` succeeded. Returns `None` if a signal came before the package was ready.
pub(in crate::commands) async fn with<T>(
    args: &ServiceArgs,
    path: &Path,
    data: Option<&Path>,
    start: &Start,
    work: impl AsyncFnOnce(Running) -> Result<T>,
) -> Result<Option<T>> {
    let logs = args.engine.logs()?;
    let done = work_with(args, path, data, start, &logs, work).await;
    logs.flush();
    done
}

async fn work_with<T>(
    args: &ServiceArgs,
    path: &Path,
    data: Option<&Path>,
    start: &Start,
    logs: &Logs,
    work: impl AsyncFnOnce(Running) -> Result<T>,
) -> Result<Option<T>> {
    let interrupted = signals::stop()?;
    let data = Data::new(data)?;
    let descriptors = Descriptors::raise();
    let listener = asynchronous(bind("--listen", (Ipv4Addr::LOCALHOST, 0).into())?)?;
    let rules = Rules::of(listener.local_addr()?);
    let limits = Limits::default();
    let front = ClientPort::open(listener, None, Limits::default(), rules)?;
    let metrics = Port::open("--metrics", (Ipv4Addr::LOCALHOST, 0).into(), None)?;
    let (remote, runtime, nats) = (RemoteArgs::default(), RuntimeArgs::default(), NatsArgs::default());
    let wanted = ServiceSettings {
        path,
        role: Role::Everything,
        data: data.path(),
        service: args,
        remote: &remote,
        runtime: &runtime,
        nats: &nats,
        descriptors,
        tls: false,
    };
    let service = tokio::select! {
        service = Service::open(&wanted, logs) => service?,
        () = interrupted.cancelled() => return Ok(None),
    };
    let running = Running {
        address: front.address(),
        metrics: metrics.address()?,
        package: service.package(),
        store: service.store(),
        interrupted: interrupted.clone(),
    };
    let finished = interrupted.child_token();
    let (sender, ready) = oneshot::channel();
    let on_ready = || {
        // Fails if the receiver is gone because of an interruption.
        let _ = sender.send(());
    };
    let mut ports = Ports { front: Some(front), metrics: Some(metrics), dashboard: None, limits };
    let serving = service.run(&mut ports, &wanted, None, on_ready, &finished);
    let working = work_when_ready(start.watch(ready), start, work(running), &interrupted, &finished);
    let (served, worked) = tokio::join!(serving, working);
    served?;
    worked
}

/// Runs `work` once the service is ready, then stops the service.
async fn work_when_ready<T>(
    ready: impl Future<Output = Option<Result<(), oneshot::error::RecvError>>>,
    start: &Start,
    work: impl Future<Output = Result<T>>,
    interrupted: &CancellationToken,
    finished: &CancellationToken,
) -> Result<Option<T>> {
    let _stop = finished.clone().drop_guard();
    tokio::select! {
        () = interrupted.cancelled() => Ok(None),
        started = ready => {
            let Some(started) = started else {
                bail!("the package has not started"; hint: "{}", start.hint());
            };
            started.context("the service did not start")?;
            work.await.map(Some)
        }
    }
}

/// The package's data folder: a given one, or a temporary one.
enum Data {
    Kept(PathBuf),
    Removed(TempDir),
}

impl Data {
    fn new(named: Option<&Path>) -> Result<Self> {
        match named {
            Some(path) => Ok(Self::Kept(path.to_owned())),
            None => {
                let folder = tempfile::Builder::new().prefix("krt-call-").tempdir();
                Ok(Self::Removed(folder.context("failed to make a temporary folder")?))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Removed(folder) => folder.path(),
        }
    }
}
