//! Runs one package until shutdown, then drains it.

mod metrics_port;

pub use metrics_port::MetricsPort;

use crate::{
    engine::{Engine, Error, Running},
    flow,
    ingress::{self, listener::Limits},
    logs::Logs,
    nats,
    node::{Launch, Lifeline},
    traces::Traces,
};
use krt_broker::Connection;
use krt_package::Package;
use krt_remote::Documents;
use krt_store::Store;
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// Limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Limits on the requests in flight.
    pub in_flight: flow::Limits,
    /// Limits on every request.
    pub requests: ingress::Limits,
    /// How long requests in flight may take to finish at shutdown.
    pub drain: Duration,
}

/// The parts of a server.
#[derive(Debug)]
pub struct Server {
    /// The package.
    pub package: Arc<Package>,
    /// The id of the version's runtime.
    pub runtime: String,
    /// The nodes that run here, by index.
    pub here: BTreeSet<usize>,
    /// The broker, if messages use one.
    pub broker: Option<(Connection, nats::Options)>,
    /// The store of measurements, logs and requests.
    pub store: Store,
    /// The store of documents.
    pub documents: Documents,
    /// The destination of log records.
    pub logs: Logs,
    /// The destination of traces.
    pub traces: Traces,
    /// Shows workers the engine's end.
    pub lifeline: Arc<Lifeline>,
    /// The limits.
    pub options: Options,
}

/// Nodes whose workers should be replaced.
#[derive(Debug, Default)]
pub struct Restarts {
    nodes: Mutex<BTreeSet<usize>>,
    asked: Notify,
}

impl Restarts {
    /// Requests the replacement of a node's workers, by its index; repeated requests count once.
    pub fn ask(&self, node: usize) {
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
    let page = beside.metrics.map(|port| tokio::spawn(port.serve(beside.limits, Arc::clone(engine.flow()))));
    tokio::pin!(shutdown);
    let start = async { Ok(engine.start(prepare.await?).await?) };
    let started: Result<_, E> = tokio::select! {
        started = start => started.map(Some),
        () = &mut shutdown => Ok(None),
    };
    let outcome = match started {
        Ok(Some(running)) => {
            say_ready(engine, beside.front);
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

fn say_ready(engine: &Engine, address: Option<SocketAddr>) {
    match address {
        Some(address) => tracing::info!("listening on {address}"),
        None => tracing::info!("taking messages for {}", engine.names().join(", ")),
    }
}

/// Restarts nodes as asked, until told to stop.
async fn serve(engine: &Engine, running: &Running, restarts: &Restarts, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            nodes = restarts.take() => nodes.into_iter().for_each(|node| engine.restart(running, node)),
        }
    }
}
