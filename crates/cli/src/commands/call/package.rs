//! Starts a package for one call, and stops it afterwards.

use super::{Outcome, Start};
use crate::{
    error::{Context as _, Result, bail},
    service::{
        NatsArgs, Ports, RemoteArgs, Role, Service, ServiceArgs, ServiceSettings, asynchronous, bind, signals,
    },
};
use krt_runtime::{
    descriptors::Descriptors,
    ingress::{ClientPort, browsers::Rules, listener::Limits},
    logs::Logs,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Starts the package at `path` on a port of its own, runs `work` against it, and stops it. Requests in
/// flight finish, whether or not `work` succeeded.
pub(super) async fn with(
    args: &ServiceArgs,
    path: &Path,
    data: Option<&Path>,
    start: &Start,
    work: impl AsyncFnOnce(SocketAddr) -> Result<Outcome>,
) -> Result<Outcome> {
    let logs = args.engine.logs()?;
    let done = work_with(args, path, data, start, &logs, work).await;
    logs.flush();
    done
}

async fn work_with(
    args: &ServiceArgs,
    path: &Path,
    data: Option<&Path>,
    start: &Start,
    logs: &Logs,
    work: impl AsyncFnOnce(SocketAddr) -> Result<Outcome>,
) -> Result<Outcome> {
    let interrupted = signals::stop()?;
    let data = Data::new(data)?;
    let descriptors = Descriptors::raise();
    let listener = asynchronous(bind("--listen", (Ipv4Addr::LOCALHOST, 0).into())?)?;
    let rules = Rules::of(listener.local_addr()?);
    let limits = Limits::default();
    let front = ClientPort::open(listener, None, Limits::default(), rules)?;
    let address = front.address();
    let (remote, nats) = (RemoteArgs::default(), NatsArgs::default());
    let wanted = ServiceSettings {
        path,
        role: Role::Everything,
        data: data.path(),
        service: args,
        remote: &remote,
        nats: &nats,
        descriptors,
        tls: false,
    };
    let service = tokio::select! {
        service = Service::open(&wanted, logs) => service?,
        () = interrupted.cancelled() => return Ok(Outcome::Interrupted),
    };
    let finished = interrupted.child_token();
    let (sender, ready) = oneshot::channel();
    let on_ready = || {
        // Fails if the receiver is gone because of an interruption.
        let _ = sender.send(());
    };
    let mut ports = Ports { front: Some(front), metrics: None, dashboard: None, limits };
    let serving = service.run(&mut ports, &wanted, None, on_ready, &finished);
    let working = work_when_ready(start.watch(ready), start, work(address), &interrupted, &finished);
    let (served, worked) = tokio::join!(serving, working);
    served?;
    worked
}

/// Runs `work` once the service is ready, then stops the service.
async fn work_when_ready(
    ready: impl Future<Output = Option<Result<(), oneshot::error::RecvError>>>,
    start: &Start,
    work: impl Future<Output = Result<Outcome>>,
    interrupted: &CancellationToken,
    finished: &CancellationToken,
) -> Result<Outcome> {
    let _stop = finished.clone().drop_guard();
    tokio::select! {
        () = interrupted.cancelled() => Ok(Outcome::Interrupted),
        started = ready => {
            let Some(started) = started else {
                bail!("the package has not started"; hint: "{}", start.hint());
            };
            started.context("the service did not start")?;
            tokio::select! {
                done = work => done,
                () = interrupted.cancelled() => Ok(Outcome::Interrupted),
            }
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
