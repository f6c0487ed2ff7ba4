//! Runs one package until shutdown, then drains it.

mod metrics_port;

pub use metrics_port::MetricsPort;

use crate::{
    engine::{Engine, Error, Running},
    ingress::listener::Limits,
    node::Launch,
};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Nodes whose workers should be replaced.
#[derive(Debug, Default)]
pub struct Restarts {
    nodes: Mutex<BTreeSet<usize>>,
    asked: Notify,
}

impl Restarts {
    /// Requests the replacement of a node's workers, by its index; repeated requests count once.
    pub fn request(&self, node: usize) {
        self.lock().insert(node);
        self.asked.notify_one();
    }

    /// Waits for requests, and takes them.
    async fn take(&self) -> BTreeSet<usize> {
        self.asked.notified().await;
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settings besides the engine.
pub struct ServeConfig<'a> {
    /// The address for clients, if any.
    pub front: Option<SocketAddr>,
    /// Where metrics are read.
    pub metrics: Option<MetricsPort>,
    /// What connections are held to there.
    pub limits: Limits,
    /// Nodes to restart.
    pub restarts: &'a Restarts,
}

/// Runs an engine until `shutdown`, then drains it. `prepare` creates the launches of its nodes, which may
/// take minutes; `ready` is called once, when requests are admitted.
///
/// Returns when all its processes have ended.
pub async fn run<E: From<Error>>(
    engine: &Engine,
    prepare: impl Future<Output = Result<Vec<Option<Launch>>, E>>,
    beside: ServeConfig<'_>,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> Result<(), E> {
    let page = beside.metrics.map(|port| {
        let (flow, gpus) = (Arc::clone(engine.flow()), Arc::clone(engine.gpus()));
        tokio::spawn(port.serve(beside.limits, move || flow.metrics_text(&gpus.metrics())))
    });
    tokio::pin!(shutdown);
    let start = async { Ok(engine.start(prepare.await?).await?) };
    let started: Result<_, E> = tokio::select! {
        started = start => started.map(Some),
        () = &mut shutdown => Ok(None),
    };
    let outcome = match started {
        Ok(Some(running)) => {
            log_ready(engine, beside.front);
            ready();
            serve(engine, &running, beside.restarts, shutdown).await;
            engine.stop(running).await;
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    page.inspect(tokio::task::JoinHandle::abort);
    outcome
}

fn log_ready(engine: &Engine, address: Option<SocketAddr>) {
    match address {
        Some(address) => tracing::info!("listening on {address}"),
        None => tracing::info!("taking messages for {}", engine.names().join(", ")),
    }
}

/// Restarts nodes on request, until shutdown.
async fn serve(engine: &Engine, running: &Running, restarts: &Restarts, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            nodes = restarts.take() => nodes.into_iter().for_each(|node| engine.restart(running, node)),
        }
    }
}
