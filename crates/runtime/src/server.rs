//! Puts the parts together, runs them until told to stop, drains.

use crate::{
    entry::{self, Door, listen},
    flow::{self, Flow, Route},
    logs::Logs,
    metrics::page,
    nats::{self, Listening, Nats, Part},
    node::{Launch, Lifeline, Node, Nodes, Plain, StartError, frame},
    traces::Traces,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use krt_broker::Connection;
use krt_package::Package;
use krt_remote::Documents;
use krt_store::Store;
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

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
    /// Where traces go.
    pub traces: Traces,
    /// What it is held to.
    pub options: Options,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Some of its nodes did not.
    #[error(transparent)]
    Nodes(#[from] StartError),
    /// The broker cannot be used.
    #[error(transparent)]
    Broker(#[from] krt_broker::Error),
}

/// Bytes of a frame beside its message: header, times, type.
const FRAME_MARGIN: usize = 64 << 10;
/// How long hosts may take to end when nothing is in work any more.
const HOSTS_END: Duration = Duration::from_secs(5);

impl Server {
    /// Serves until `shutdown`, then drains. Without a `front` it only runs nodes, for doors elsewhere.
    /// `restarts` names nodes whose hosts are to be replaced; `ready` is called once, when it serves.
    ///
    /// Returns when nothing is left: no connection, no process.
    pub async fn run(
        mut self,
        front: Option<TcpListener>,
        restarts: mpsc::Receiver<usize>,
        ready: impl FnOnce(),
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let routes = entry::routes(&self.package, self.options.requests.message);
        let (flow, broker) = self.flow(&routes).await?;
        let nodes = self.nodes(&flow);
        let address = front.as_ref().and_then(|listener| listener.local_addr().ok());
        let part = Part { door: front.is_some(), nodes: nodes.iter().map(|node| node.index).collect() };
        let stopped = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut beside = JoinSet::new();
        if let Some(listener) = front {
            let (door, reporter) = self.door(&routes, &flow);
            tasks.spawn(listen::run(listener, door, stopped.clone().cancelled_owned(), HOSTS_END));
            beside.spawn(entry::watch_health(Arc::clone(&self.package), Arc::clone(&flow), reporter));
        }
        beside.spawn(self.metrics_page(&flow));
        tokio::pin!(shutdown);

        let started = tokio::select! {
            started = self.start(&nodes, &flow, broker.as_ref(), &part, &mut beside) => started.map(Some),
            () = &mut shutdown => Ok(None),
        };
        let outcome = match started {
            Ok(Some((running, listening))) => {
                flow.admission().open();
                self.say_ready(address, &part);
                ready();
                serve(&running, &nodes, restarts, shutdown).await;
                self.drain(&flow, running, listening).await;
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        stopped.cancel();
        tasks.join_all().await;
        beside.shutdown().await;
        outcome
    }

    /// Builds the flow, with the broker that its messages go through, if there is one.
    async fn flow(&mut self, routes: &[Option<Arc<Route>>]) -> Result<(Arc<Flow>, Option<Arc<Nats>>), Error> {
        let (version, work) = (&self.package.version, self.options.work);
        let Some((connection, options)) = self.broker.take() else {
            return Ok((Arc::new(Flow::new(version, work, &self.store)), None));
        };
        let broker = Nats::open(connection, options, version, routes.to_vec(), self.traces.clone()).await?;
        let flow = Flow::over(version, work, &self.store, Arc::clone(&broker) as _);
        Ok((Arc::new(flow), Some(broker)))
    }

    /// Starts the nodes, and begins to take messages for them.
    async fn start(
        &self,
        nodes: &[Arc<Node>],
        flow: &Arc<Flow>,
        broker: Option<&Arc<Nats>>,
        part: &Part,
        beside: &mut JoinSet<()>,
    ) -> Result<(Nodes, Option<Listening>), Error> {
        let running = Nodes::start(nodes, &self.lifeline).await?;
        let Some(broker) = broker else { return Ok((running, None)) };
        if part.door {
            nats::serve_writer(broker, &self.documents, beside).await?;
        }
        Ok((running, Some(broker.listen(flow, part.clone()).await?)))
    }

    fn say_ready(&self, address: Option<SocketAddr>, part: &Part) {
        if let Some(address) = address {
            return tracing::info!("listening on {address}");
        }
        let names: Vec<_> =
            part.nodes.iter().map(|&node| self.package.version.nodes[node].name.as_str()).collect();
        tracing::info!("taking messages for {}", names.join(", "));
    }

    /// Serves the metrics, if they are asked for.
    fn metrics_page(&mut self, flow: &Arc<Flow>) -> impl Future<Output = ()> + use<> {
        let (listener, flow) = (self.metrics.take(), Arc::clone(flow));
        async move {
            let Some(listener) = listener else { return };
            if let Ok(address) = listener.local_addr() {
                tracing::info!("metrics are at http://{address}/metrics");
            }
            page::run(listener, Arc::new(move || flow.metrics_text())).await;
        }
    }

    fn nodes(&self, flow: &Arc<Flow>) -> Vec<Arc<Node>> {
        let version = &self.package.version;
        let runtime = self.runtime.clone();
        let descriptors = STANDARD.encode(&self.package.schema.descriptors);
        let build = |(index, (spec, launch)): (usize, (&krt_model::version::Node, &Option<Launch>))| {
            let launch = launch.as_ref()?;
            let hello = frame::Hello {
                protocol: frame::PROTOCOL,
                node: spec.name.to_string(),
                version: version.name.to_string(),
                version_id: version.name.to_string(),
                runtime: runtime.clone(),
                workflows: version.workflows.iter().map(|workflow| workflow.name.to_string()).collect(),
                base_path: text(&self.package.root),
                handler_path: text(&self.package.root.join(&spec.src)),
                concurrency: spec.run.concurrency,
                max_frame: self.options.requests.message + FRAME_MARGIN,
                max_message: self.options.requests.message,
                log_level: self.logs.level().as_str(),
                payload: spec.run.payload.as_str(),
                descriptors: descriptors.clone(),
            };
            Some(Arc::new(Node {
                name: spec.name.clone(),
                index,
                run: spec.run.clone(),
                launch: launch.clone(),
                plain: Plain::new(self.package.schema.pool.clone()),
                hello,
                flow: Arc::clone(flow),
                store: self.store.clone(),
                documents: self.documents.clone(),
                logs: self.logs.clone(),
            }))
        };
        version.nodes.iter().zip(&self.launches).enumerate().filter_map(build).collect()
    }

    fn door(
        &self,
        routes: &[Option<Arc<Route>>],
        flow: &Arc<Flow>,
    ) -> (Arc<Door>, tonic_health::server::HealthReporter) {
        let (reporter, health) = tonic_health::server::health_reporter();
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(&self.package.schema.descriptors)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let invariant = "a descriptor set that was compiled here is whole";
        let generated = Routes::new(health)
            .add_service(reflection().build_v1().expect(invariant))
            .add_service(reflection().build_v1alpha().expect(invariant))
            .prepare();
        let traces = self.traces.clone();
        let door =
            Door::new(&self.package, routes, Arc::clone(flow), self.options.requests, generated, traces);
        (Arc::new(door), reporter)
    }

    /// Lets in nobody new, finishes what is in work, and ends the hosts.
    async fn drain(&self, flow: &Flow, nodes: Nodes, mut listening: Option<Listening>) {
        let admission = flow.admission();
        admission.close();
        // Behind a door of our own each request is in work once more, for a node.
        let elsewhere = |listening: &Option<Listening>| listening.as_ref().map_or(0, Listening::in_work);
        let in_work = |listening: &_| admission.in_work().max(elsewhere(listening));
        let begun = in_work(&listening);
        if begun > 0 {
            tracing::info!("stopping: requests in work: {begun}");
        }
        let drained = async {
            admission.drained().await;
            if let Some(listening) = &mut listening {
                listening.drain(flow).await;
            }
        };
        if tokio::time::timeout(self.options.drain, drained).await.is_err() {
            let left = in_work(&listening);
            let seconds = self.options.drain.as_secs_f64();
            tracing::warn!("not finished within {seconds} s and given up: requests in work: {left}");
        }
        nodes.stop(HOSTS_END).await;
        if let Some(listening) = listening {
            listening.close().await;
        }
    }
}

/// Restarts nodes as asked, until told to stop.
async fn serve(
    running: &Nodes,
    nodes: &[Arc<Node>],
    mut restarts: mpsc::Receiver<usize>,
    shutdown: impl Future<Output = ()>,
) {
    tokio::pin!(shutdown);
    loop {
        let index = tokio::select! {
            () = &mut shutdown => return,
            Some(index) = restarts.recv() => index,
        };
        if let Some(node) = nodes.iter().find(|node| node.index == index) {
            running.restart(node).await;
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
