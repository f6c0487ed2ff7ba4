//! A package with its parts put together: started, drained, stopped. Who listens is another's business.

use crate::{
    Server,
    entry::{self, Door},
    flow::{Flow, Route},
    logs::Logs,
    nats::{self, Listening, Nats, Part},
    node::{Launch, Lifeline, Node, Nodes, Plain, StartError, frame},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use krt_package::Package;
use krt_remote::Documents;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::task::{AbortHandle, JoinSet};
use tonic::service::Routes;

/// Bytes of a frame beside its message: header, times, type.
const FRAME_MARGIN: usize = 64 << 10;
/// How long hosts may take to end when nothing is in work any more.
pub(crate) const HOSTS_END: Duration = Duration::from_secs(5);

/// A package with its parts put together.
#[derive(Debug)]
pub struct Engine {
    package: Arc<Package>,
    flow: Arc<Flow>,
    broker: Option<Arc<Nats>>,
    part: Part,
    door: Arc<Door>,
    nodes: Vec<Arc<Node>>,
    documents: Documents,
    lifeline: Arc<Lifeline>,
    logs: Logs,
    drain: Duration,
    health: AbortHandle,
}

/// What of an engine has started.
#[derive(Debug)]
pub struct Running {
    nodes: Nodes,
    listening: Option<Listening>,
    _beside: JoinSet<()>,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Some of its nodes did not.
    #[error(transparent)]
    Nodes(#[from] StartError),
    /// The broker cannot be used.
    #[error(transparent)]
    Broker(#[from] krt_broker::Error),
}

impl Engine {
    /// Puts the parts together; nothing runs yet. `has_door`: whether requests come in here.
    pub async fn build(mut parts: Server, has_door: bool) -> Result<Self, Error> {
        let routes = entry::routes(&parts.package, parts.options.requests.message);
        let (flow, broker) = flow(&mut parts, &routes).await?;
        let nodes = nodes(&parts, &flow);
        let part = Part { door: has_door, nodes: nodes.iter().map(|node| node.index).collect() };
        let (door, reporter) = door(&parts, &routes, &flow);
        let health = entry::watch_health(Arc::clone(&parts.package), Arc::clone(&flow), reporter);
        Ok(Self {
            health: tokio::spawn(parts.logs.around(health)).abort_handle(),
            package: parts.package,
            flow,
            broker,
            part,
            door,
            nodes,
            documents: parts.documents,
            lifeline: parts.lifeline,
            logs: parts.logs,
            drain: parts.options.drain,
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

    /// Where its requests come in.
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// The names of the nodes that run here.
    pub fn names(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    /// Starts all nodes and, when all are ready, lets requests in. Dropping the future ends what was
    /// started.
    pub async fn start(&self) -> Result<Running, Error> {
        let running = self.logs.around(self.start_parts()).await?;
        self.flow.admission().open();
        Ok(running)
    }

    /// Starts the nodes, and begins to take messages for them.
    async fn start_parts(&self) -> Result<Running, Error> {
        let nodes = Nodes::start(&self.nodes, &self.lifeline).await?;
        let mut beside = JoinSet::new();
        let listening = match &self.broker {
            Some(broker) => {
                // A store of this machine only is the door's: else each part would keep some of them.
                if self.part.door || matches!(self.documents, Documents::Mongo(_)) {
                    nats::serve_writer(broker, &self.documents, &mut beside).await?;
                }
                Some(broker.listen(&self.flow, self.part.clone()).await?)
            }
            None => None,
        };
        Ok(Running { nodes, listening, _beside: beside })
    }

    /// Replaces the hosts of a node, by its index in the version.
    pub(crate) async fn restart(&self, running: &Running, index: usize) {
        if let Some(node) = self.nodes.iter().find(|node| node.index == index) {
            running.nodes.restart(node).await;
        }
    }

    /// Lets in nobody new, finishes what is in work, and ends the hosts.
    pub async fn stop(&self, mut running: Running) {
        self.logs.around(self.drain(&mut running.listening)).await;
        running.nodes.stop(HOSTS_END).await;
        if let Some(listening) = running.listening {
            listening.close().await;
        }
    }

    async fn drain(&self, listening: &mut Option<Listening>) {
        let admission = self.flow.admission();
        admission.close();
        // Behind a door of our own each request is in work once more, for a node.
        let elsewhere = |listening: &Option<Listening>| listening.as_ref().map_or(0, Listening::in_work);
        let in_work = |listening: &_| admission.in_work().max(elsewhere(listening));
        let begun = in_work(listening);
        if begun > 0 {
            tracing::info!("stopping: requests in work: {begun}");
        }
        let drained = async {
            admission.drained().await;
            if let Some(listening) = listening {
                listening.drain(&self.flow).await;
            }
        };
        if tokio::time::timeout(self.drain, drained).await.is_err() {
            let left = in_work(listening);
            let seconds = self.drain.as_secs_f64();
            tracing::warn!("not finished within {seconds} s and given up: requests in work: {left}");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.health.abort();
    }
}

/// Builds the flow, with the broker that its messages go through, if there is one.
async fn flow(
    parts: &mut Server,
    routes: &[Option<Arc<Route>>],
) -> Result<(Arc<Flow>, Option<Arc<Nats>>), Error> {
    let (version, work) = (&parts.package.version, parts.options.work);
    let Some((connection, options)) = parts.broker.take() else {
        return Ok((Arc::new(Flow::new(version, work, &parts.store)), None));
    };
    let broker = Nats::open(connection, options, version, routes.to_vec(), parts.traces.clone()).await?;
    let flow = Flow::over(version, work, &parts.store, Arc::clone(&broker) as _);
    Ok((Arc::new(flow), Some(broker)))
}

fn nodes(parts: &Server, flow: &Arc<Flow>) -> Vec<Arc<Node>> {
    let version = &parts.package.version;
    let runtime = parts.runtime.clone();
    let descriptors = STANDARD.encode(&parts.package.schema.descriptors);
    let build = |(index, (spec, launch)): (usize, (&krt_model::version::Node, &Option<Launch>))| {
        let launch = launch.as_ref()?;
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
            descriptors: descriptors.clone(),
        };
        Some(Arc::new(Node {
            name: spec.name.clone(),
            index,
            run: spec.run.clone(),
            launch: launch.clone(),
            plain: Plain::new(parts.package.schema.pool.clone()),
            hello,
            flow: Arc::clone(flow),
            store: parts.store.clone(),
            documents: parts.documents.clone(),
            logs: parts.logs.clone(),
        }))
    };
    version.nodes.iter().zip(&parts.launches).enumerate().filter_map(build).collect()
}

fn door(
    parts: &Server,
    routes: &[Option<Arc<Route>>],
    flow: &Arc<Flow>,
) -> (Arc<Door>, tonic_health::server::HealthReporter) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(&parts.package.schema.descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let invariant = "a descriptor set that was compiled here is whole";
    let generated = Routes::new(health)
        .add_service(reflection().build_v1().expect(invariant))
        .add_service(reflection().build_v1alpha().expect(invariant))
        .prepare();
    let (limits, traces) = (parts.options.requests, parts.traces.clone());
    let door = Door::new(&parts.package, routes, Arc::clone(flow), limits, generated, traces);
    (Arc::new(door), reporter)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
