//! One package behind one port: run until told to stop, then drained.

use crate::{
    engine::{Engine, Error, HOSTS_END, Running},
    entry::{self, Gate, listen},
    flow::{self, Flow},
    logs::Logs,
    metrics::page,
    nats,
    node::{Launch, Lifeline},
    traces::Traces,
};
use krt_broker::Connection;
use krt_package::Package;
use krt_remote::Documents;
use krt_store::Store;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// What a server is held to.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How much may be in work.
    pub work: flow::Limits,
    /// What every request is held to.
    pub requests: entry::Limits,
    /// How long requests in work may take to finish when the server stops.
    pub drain: Duration,
}

/// What a server is made of.
#[derive(Debug)]
pub struct Server {
    /// The package that runs.
    pub package: Arc<Package>,
    /// The id of the runtime that the version belongs to.
    pub runtime: String,
    /// How each node is started, in the package's order; none for those that run elsewhere.
    pub launches: Vec<Option<Launch>>,
    /// The broker, if messages go through one.
    pub broker: Option<(Connection, nats::Options)>,
    /// Where measurements, logs and requests go.
    pub store: Store,
    /// Where documents are kept.
    pub documents: Documents,
    /// Where records go.
    pub logs: Logs,
    /// Where traces go.
    pub traces: Traces,
    /// What hosts see the engine's end by.
    pub lifeline: Arc<Lifeline>,
    /// What it is held to.
    pub options: Options,
}

/// Where an engine is reached.
#[derive(Debug, Default)]
pub struct Ports {
    /// By clients; without it, it only runs nodes, for doors elsewhere.
    pub front: Option<TcpListener>,
    /// By whoever reads metrics.
    pub metrics: Option<TcpListener>,
}

/// Serves an engine until `shutdown`, then drains. `restarts` names nodes whose hosts are to be
/// replaced; `ready` is called once, when it serves.
///
/// Returns when nothing is left: no connection, no process.
pub async fn run(
    engine: &Engine,
    ports: Ports,
    restarts: mpsc::Receiver<usize>,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let address = ports.front.as_ref().and_then(|listener| listener.local_addr().ok());
    let stopped = CancellationToken::new();
    let mut tasks = JoinSet::new();
    if let Some(listener) = ports.front {
        let gate = Gate::One(Arc::clone(engine.door()));
        tasks.spawn(listen::run(listener, None, gate, stopped.clone().cancelled_owned(), HOSTS_END));
    }
    let page = tokio::spawn(metrics_page(ports.metrics, engine.flow()));
    tokio::pin!(shutdown);

    let started = tokio::select! {
        started = engine.start() => started.map(Some),
        () = &mut shutdown => Ok(None),
    };
    let outcome = match started {
        Ok(Some(running)) => {
            say_ready(engine, address);
            ready();
            serve(engine, &running, restarts, shutdown).await;
            engine.stop(running).await;
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    stopped.cancel();
    tasks.join_all().await;
    page.abort();
    outcome
}

fn say_ready(engine: &Engine, address: Option<SocketAddr>) {
    match address {
        Some(address) => tracing::info!("listening on {address}"),
        None => tracing::info!("taking messages for {}", engine.names().join(", ")),
    }
}

/// Serves the metrics, if they are asked for.
fn metrics_page(listener: Option<TcpListener>, flow: &Arc<Flow>) -> impl Future<Output = ()> + use<> {
    let flow = Arc::clone(flow);
    async move {
        let Some(listener) = listener else { return };
        if let Ok(address) = listener.local_addr() {
            tracing::info!("metrics are at http://{address}/metrics");
        }
        page::run(listener, Arc::new(move || flow.metrics_text())).await;
    }
}

/// Restarts nodes as asked, until told to stop.
async fn serve(
    engine: &Engine,
    running: &Running,
    mut restarts: mpsc::Receiver<usize>,
    shutdown: impl Future<Output = ()>,
) {
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(index) = restarts.recv() => engine.restart(running, index).await,
        }
    }
}
