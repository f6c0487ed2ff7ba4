//! A package assembled from its parts: started, drained, stopped. Listeners are elsewhere.

mod parts;

pub use parts::{Options, Parts};

use crate::{
    flow::{Admission, Flow, Route},
    gpus::{GpuReading, Gpus},
    ingress::{self, Ingress},
    logs::Logs,
    nats::{self, ListenTasks, Nats, Part},
    node::{Launch, Lifeline, Node, NodeGpus, Nodes, Plain, StartError, WINDOW, frame},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use krt_model::{name::Name, version::Runner};
use krt_package::{Package, open_inference};
use krt_remote::Documents;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
};
use tonic::service::Routes;

/// Bytes of a frame besides its message: header, times, type.
const FRAME_MARGIN: usize = 64 << 10;

/// A package assembled from its parts.
#[derive(Debug)]
pub struct Engine {
    package: Arc<Package>,
    flow: Arc<Flow>,
    broker: Option<Arc<Nats>>,
    part: Part,
    ingress: Arc<Ingress>,
    nodes: Vec<Arc<Node>>,
    documents: Documents,
    gpus: Arc<Gpus>,
    lifeline: Arc<Lifeline>,
    logs: Logs,
    drain: Duration,
    max_workers: Option<usize>,
    health: AbortHandle,
}

/// The started parts of an engine.
#[derive(Debug)]
pub struct Running {
    nodes: Nodes,
    listening: Option<ListenTasks>,
    _beside: JoinSet<()>,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// Some of its nodes did not start.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Nodes(#[from] StartError),
    /// Its nodes start with too many workers.
    #[error("the nodes start with {workers} workers, and --max-workers allows {limit}")]
    #[diagnostic(help("raise --max-workers, or lower `replicas` in krt.yml"))]
    TooManyWorkers {
        /// Their workers.
        workers: usize,
        /// The limit.
        limit: usize,
    },
    /// A node of another runner needs a broker.
    #[error("node `{node}` is left to another runner (`runner: external`), which speaks over NATS")]
    #[diagnostic(help("--nats nats://HOST:4222"))]
    NeedsNats {
        /// The node.
        node: Name,
    },
    /// The broker cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Broker(#[from] krt_broker::Error),
}

impl Engine {
    /// Assembles the parts, without starting them. `has_ingress`: whether this engine receives requests.
    pub async fn build(mut parts: Parts, has_ingress: bool) -> Result<Self, Error> {
        let external = parts.package.version.nodes.iter().find(|node| node.run.runner == Runner::External);
        if let (Some(node), None) = (external, &parts.broker) {
            return Err(Error::NeedsNats { node: node.name.clone() });
        }
        let routes = ingress::routes(&parts.package, parts.options.requests.message);
        let (flow, broker) = flow(&mut parts, &routes).await?;
        let nodes = nodes(&parts, &flow);
        let part = Part { ingress: has_ingress, nodes: nodes.iter().map(|node| node.index).collect() };
        let (ingress, reporter) = ingress(&parts, &routes, &flow);
        // Otherwise it would report SERVING until the first update.
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        let health = ingress::watch_health(Arc::clone(&parts.package), Arc::clone(&flow), reporter);
        Ok(Self {
            health: tokio::spawn(parts.logs.around(health)).abort_handle(),
            package: parts.package,
            flow,
            broker,
            part,
            ingress,
            nodes,
            documents: parts.documents,
            gpus: parts.gpus,
            lifeline: parts.lifeline,
            logs: parts.logs,
            drain: parts.options.drain,
            max_workers: parts.options.max_workers,
        })
    }

    /// The package.
    pub fn package(&self) -> &Arc<Package> {
        &self.package
    }

    /// Its workflows.
    pub fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// Its ingress.
    pub fn ingress(&self) -> &Arc<Ingress> {
        &self.ingress
    }

    /// Returns the state of the NATS server that carries its messages, if one does.
    pub fn nats(&self) -> Option<nats::ServerState> {
        self.broker.as_ref().map(|nats| nats.server())
    }

    /// Returns the names of the nodes that run here.
    pub fn names(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    /// The GPUs of this machine.
    pub(crate) fn gpus(&self) -> &Arc<Gpus> {
        &self.gpus
    }

    /// Reads the state of the GPUs that a node's workers have, by the node's index in the version.
    pub fn gpus_of(&self, index: usize) -> Vec<GpuReading> {
        let node = self.nodes.iter().find(|node| node.index == index);
        node.and_then(|node| node.gpus.get()).map(NodeGpus::read).unwrap_or_default()
    }

    /// Starts all nodes with `launches`, in the package's order, and admits requests when all are ready.
    /// Dropping the future ends everything it started.
    pub async fn start(&self, launches: Vec<Option<Launch>>) -> Result<Running, Error> {
        let running = self.logs.around(self.start_parts(launches)).await?;
        self.flow.admission().open();
        Ok(running)
    }

    /// Starts the nodes, and starts to take messages for them.
    async fn start_parts(&self, mut launches: Vec<Option<Launch>>) -> Result<Running, Error> {
        let launched = self.nodes.iter().filter_map(|node| {
            let launch = launches.get_mut(node.index)?.take()?;
            Some((Arc::clone(node), launch))
        });
        let nodes = Nodes::start(launched, &self.lifeline, &self.gpus, self.spare_workers()?).await?;
        let mut beside = JoinSet::new();
        let listening = match &self.broker {
            Some(broker) => {
                // Only the engine with the ingress writes to a store on its own machine; otherwise each
                // engine would keep a part of the documents.
                if self.part.ingress || matches!(self.documents, Documents::Mongo(_)) {
                    nats::serve_writer(broker, &self.documents, &mut beside).await?;
                }
                Some(broker.listen(&self.flow, self.part.clone()).await?)
            }
            None => None,
        };
        Ok(Running { nodes, listening, _beside: beside })
    }

    /// Returns how many workers there may be beside those that nodes start with.
    fn spare_workers(&self) -> Result<usize, Error> {
        let Some(limit) = self.max_workers else { return Ok(Semaphore::MAX_PERMITS) };
        let places = |node: &Arc<Node>| self.flow.queue(node.index).places().len().max(1);
        let first = |node: &Arc<Node>| usize::from(node.run.replicas.first()) * places(node);
        let workers = self.nodes.iter().filter(|node| node.run.runner != Runner::External).map(first).sum();
        limit.checked_sub(workers).ok_or(Error::TooManyWorkers { workers, limit })
    }

    /// Replaces the workers of a node, by its index in the version.
    pub(crate) fn restart(&self, running: &Running, index: usize) {
        // A node that sleeps wakes with its new sources. Workers that are replaced now answer a little longer.
        self.flow.forget_answers();
        running.nodes.restart(index);
    }

    /// Admits no more requests, finishes those in flight, and ends the workers.
    pub async fn stop(&self, mut running: Running) {
        self.logs.around(self.drain(&mut running.listening)).await;
        running.nodes.stop().await;
        if let Some(listening) = running.listening {
            listening.close().await;
        }
    }

    async fn drain(&self, listening: &mut Option<ListenTasks>) {
        let admission = self.flow.admission();
        admission.close();
        // Behind this engine's own ingress, each request is in flight a second time, for a node.
        let elsewhere =
            |listening: &Option<ListenTasks>| listening.as_ref().map_or(0, ListenTasks::in_flight);
        let in_flight = |listening: &_| admission.in_flight().max(elsewhere(listening));
        let begun = in_flight(listening);
        if begun > 0 {
            tracing::info!("stopping: requests in flight: {begun}");
        }
        let drained = async {
            admission.drained().await;
            if let Some(listening) = listening {
                listening.drain(&self.flow).await;
            }
        };
        if tokio::time::timeout(self.drain, drained).await.is_err() {
            let left = in_flight(listening);
            let seconds = self.drain.as_secs_f64();
            tracing::warn!("not finished within {seconds} s and given up: requests in flight: {left}");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.health.abort();
    }
}

/// Builds the flow, with its broker, if any.
async fn flow(
    parts: &mut Parts,
    routes: &[Option<Arc<Route>>],
) -> Result<(Arc<Flow>, Option<Arc<Nats>>), Error> {
    let (version, work) = (&parts.package.version, parts.options.in_flight);
    let Some((connection, options)) = parts.broker.take() else {
        return Ok((Arc::new(Flow::new(version, work, &parts.store)), None));
    };
    let broker = Nats::open(connection, options, version, routes.to_vec(), parts.traces.clone()).await?;
    // Requests at the ingress and messages for nodes share the memory of one process.
    let admission = Admission::sharing(work, Arc::clone(broker.memory()));
    let flow = Flow::over(version, admission, &parts.store, Arc::clone(&broker) as _);
    Ok((Arc::new(flow), Some(broker)))
}

fn nodes(parts: &Parts, flow: &Arc<Flow>) -> Vec<Arc<Node>> {
    let version = &parts.package.version;
    let runtime = parts.runtime.clone();
    let descriptors = STANDARD.encode(&parts.package.schema.descriptors);
    let build = |(index, spec): (usize, &krt_model::version::Node)| {
        if spec.run.limits.cpu.is_some() && cfg!(not(target_os = "linux")) {
            tracing::warn!(
                "node `{}`: `limits.cpu` has no effect here: only Linux has such limits",
                spec.name
            );
        }
        let hello = frame::Hello {
            protocol: frame::PROTOCOL,
            node: spec.name.to_string(),
            version: version.name.to_string(),
            version_id: version.name.to_string(),
            runtime: runtime.clone(),
            workflows: version.workflows.iter().map(|workflow| workflow.name.to_string()).collect(),
            base_path: text(&parts.package.root),
            handler_path: text(&parts.package.root.join(&spec.src)),
            concurrency: spec.run.concurrency,
            max_frame: parts.options.requests.message + FRAME_MARGIN,
            max_message: parts.options.requests.message,
            log_level: parts.logs.level().as_str(),
            payload: spec.run.payload.as_str(),
            batch: spec.run.batch.map(frame::HelloBatch::from),
            stream: may_stream(&parts.package, index).then_some(WINDOW),
            descriptors: descriptors.clone(),
        };
        Arc::new(Node {
            name: spec.name.clone(),
            index,
            run: spec.run.clone(),
            gpu: spec.gpu,
            gpus: OnceLock::new(),
            streams: streams(&parts.package).any(|sequence| sequence.last() == Some(&index)),
            plain: Plain::new(parts.package.schema.pool.clone()),
            hello,
            flow: Arc::clone(flow),
            store: parts.store.clone(),
            documents: parts.documents.clone(),
            package: Arc::clone(&parts.package),
            logs: parts.logs.clone(),
        })
    };
    let here: &BTreeSet<usize> = &parts.here;
    version.nodes.iter().enumerate().filter(|(index, _)| here.contains(index)).map(build).collect()
}

/// Returns the sequences of nodes whose answers are streams.
fn streams(package: &Package) -> impl Iterator<Item = &[usize]> {
    let streaming = package.schema.methods.iter().filter(|method| method.streams);
    streaming.filter_map(|method| Some(package.version.workflows[method.workflow?].sequence.as_slice()))
}

/// Returns whether a handler of a node may send messages of a streamed answer.
fn may_stream(package: &Package, index: usize) -> bool {
    let batches = package.version.nodes[index].run.batch.is_some();
    !batches && streams(package).any(|sequence| sequence.contains(&index))
}

fn ingress(
    parts: &Parts,
    routes: &[Option<Arc<Route>>],
    flow: &Arc<Flow>,
) -> (Arc<Ingress>, tonic_health::server::HealthReporter) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let has_models = parts.package.version.workflows.iter().any(|workflow| workflow.open_inference);
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(&parts.package.schema.descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        match has_models {
            true => builder.register_encoded_file_descriptor_set(open_inference::descriptors()),
            false => builder,
        }
    };
    let invariant = "a descriptor set that was compiled here is whole";
    let generated = Routes::new(health)
        .add_service(reflection().build_v1().expect(invariant))
        .add_service(reflection().build_v1alpha().expect(invariant))
        .prepare();
    let (limits, traces) = (parts.options.requests, parts.traces.clone());
    let ingress = Ingress::new(&parts.package, routes, Arc::clone(flow), limits, generated, traces);
    (Arc::new(ingress), reporter)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
