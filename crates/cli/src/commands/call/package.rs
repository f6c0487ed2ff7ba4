//! A package that is started for one call, and stopped after it.

use super::Done;
use crate::service::{NatsArgs, Ports, RemoteArgs, Role, Service, ServiceArgs, Wanted, bind, signals};
use anyhow::Context as _;
use krt_runtime::logs::Logs;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Starts the package at `path` on a port of its own, lets `work` call it, and stops it: what is in
/// work then is finished, whatever came of `work`.
pub(super) async fn with(
    args: &ServiceArgs,
    path: &Path,
    data: Option<&Path>,
    work: impl AsyncFnOnce(SocketAddr) -> anyhow::Result<Done>,
) -> anyhow::Result<Done> {
    let logs = args.engine.logs()?;
    let done = work_with(args, path, data, &logs, work).await;
    logs.flush();
    done
}

async fn work_with(
    args: &ServiceArgs,
    path: &Path,
    data: Option<&Path>,
    logs: &Logs,
    work: impl AsyncFnOnce(SocketAddr) -> anyhow::Result<Done>,
) -> anyhow::Result<Done> {
    let interrupted = signals::stop()?;
    let data = Data::new(data)?;
    let listener = bind("--listen", (Ipv4Addr::LOCALHOST, 0).into())?;
    let address = listener.local_addr()?;
    let (remote, nats) = (RemoteArgs::default(), NatsArgs::default());
    let wanted = Wanted {
        path,
        role: Role::Everything,
        data: data.path(),
        service: args,
        remote: &remote,
        nats: &nats,
    };
    let service = tokio::select! {
        service = Service::open(&wanted, logs) => service?,
        () = interrupted.cancelled() => return Ok(Done::Interrupted),
    };
    let finished = interrupted.child_token();
    let (tell, ready) = oneshot::channel();
    let tell = || {
        // Fails when nobody waits any more: an interruption came first.
        let _ = tell.send(());
    };
    let serving =
        service.run(Ports { front: Some(listener), metrics: None, dashboard: None }, None, tell, &finished);
    let working = work_when_ready(ready, work(address), &interrupted, &finished);
    let (served, worked) = tokio::join!(serving, working);
    served?;
    worked
}

/// Works once the service is ready, and then tells it to stop.
async fn work_when_ready(
    ready: oneshot::Receiver<()>,
    work: impl Future<Output = anyhow::Result<Done>>,
    interrupted: &CancellationToken,
    finished: &CancellationToken,
) -> anyhow::Result<Done> {
    let _stop = finished.clone().drop_guard();
    tokio::select! {
        () = interrupted.cancelled() => Ok(Done::Interrupted),
        started = ready => {
            started.context("the service did not start")?;
            tokio::select! {
                done = work => done,
                () = interrupted.cancelled() => Ok(Done::Interrupted),
            }
        }
    }
}

/// Where the package keeps its data: a folder that was named, or one that is removed afterwards.
enum Data {
    Kept(PathBuf),
    Removed(TempDir),
}

impl Data {
    fn new(named: Option<&Path>) -> anyhow::Result<Self> {
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
