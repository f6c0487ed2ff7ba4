//! One package behind one port: run until told to stop, then drained.

use crate::{
    engine::{Engine, HOSTS_END},
    entry::{self, Gate, listen},
    flow::{self, Flow},
    logs::Logs,
    metrics::page,
    node::{Launch, Lifeline, Nodes, StartError},
};
use krt_model::name::Name;
use krt_package::Package;
use krt_remote::Documents;
use krt_store::Store;
use std::{sync::Arc, time::Duration};
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
    /// The runtime that it is a version of.
    pub runtime: Name,
    /// The package that runs.
    pub package: Arc<Package>,
    /// How each node is started, in the package's order.
    pub launches: Vec<Launch>,
    /// Where measurements and logs go.
    pub store: Store,
    /// Where documents are kept.
    pub documents: Documents,
    /// Where records go.
    pub logs: Logs,
    /// What hosts see the engine's end by.
    pub lifeline: Arc<Lifeline>,
    /// Where metrics are read, if they are.
    pub metrics: Option<TcpListener>,
    /// What it is held to.
    pub options: Options,
}

impl Server {
    /// Serves until `shutdown`; see [`run`].
    pub async fn run(
        mut self,
        listener: TcpListener,
        restarts: mpsc::Receiver<usize>,
        ready: impl FnOnce(),
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), StartError> {
        let metrics = self.metrics.take();
        run(&Engine::new(self), listener, metrics, restarts, ready, shutdown).await
    }
}

/// Serves an engine until `shutdown`, then drains. `restarts` names nodes whose hosts are to be
/// replaced; `ready` is called once, when requests are let in.
///
/// Returns when nothing is left: no connection, no process.
pub async fn run(
    engine: &Engine,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    restarts: mpsc::Receiver<usize>,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let address = listener.local_addr();
    let stopped = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let gate = Gate::One(Arc::clone(engine.door()));
    tasks.spawn(listen::run(listener, None, gate, stopped.clone().cancelled_owned(), HOSTS_END));
    let page = tokio::spawn(metrics_page(metrics, engine.flow()));
    tokio::pin!(shutdown);

    let started = tokio::select! {
        started = engine.start() => started.map(Some),
        () = &mut shutdown => Ok(None),
    };
    let outcome = match started {
        Ok(Some(running)) => {
            if let Ok(address) = address {
                tracing::info!("listening on {address}");
            }
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
    running: &Nodes,
    mut restarts: mpsc::Receiver<usize>,
    shutdown: impl Future<Output = ()>,
) {
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(index) = restarts.recv() => running.restart(engine.node(index)).await,
        }
    }
}
