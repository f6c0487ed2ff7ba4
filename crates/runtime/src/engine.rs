//! A package with its parts put together: started, drained, stopped. Who listens is another's business.

use crate::{
    Server,
    entry::{self, Door},
    flow::Flow,
    logs::Logs,
    node::{Launch, Lifeline, Node, Nodes, Plain, StartError, frame},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use krt_package::Package;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::task::AbortHandle;
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
    door: Arc<Door>,
    nodes: Vec<Arc<Node>>,
    lifeline: Arc<Lifeline>,
    logs: Logs,
    drain: Duration,
    health: AbortHandle,
}

impl Engine {
    /// Puts the parts together; nothing runs yet. Needs a tokio runtime. Its `metrics` are not served.
    pub fn new(parts: Server) -> Self {
        let flow = Arc::new(Flow::new(&parts.package.version, parts.options.work, &parts.store));
        let nodes = nodes(&parts, &flow);
        let (door, reporter) = door(&parts, &flow);
        let health = entry::watch_health(Arc::clone(&parts.package), Arc::clone(&flow), reporter);
        Self {
            health: tokio::spawn(parts.logs.around(health)).abort_handle(),
            package: parts.package,
            flow,
            door,
            nodes,
            lifeline: parts.lifeline,
            logs: parts.logs,
            drain: parts.options.drain,
        }
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

    /// One of its nodes, by its index in the version.
    pub fn node(&self, index: usize) -> &Arc<Node> {
        &self.nodes[index]
    }

    /// Starts all nodes and, when all are ready, lets requests in. Dropping the future ends what was
    /// started.
    pub async fn start(&self) -> Result<Nodes, StartError> {
        let running = self.logs.around(Nodes::start(&self.nodes, &self.lifeline)).await?;
        self.flow.admission().open();
        Ok(running)
    }

    /// Lets in nobody new, finishes what is in work, and ends the hosts.
    pub async fn stop(&self, running: Nodes) {
        self.logs.around(self.drain()).await;
        running.stop(HOSTS_END).await;
    }

    async fn drain(&self) {
        let admission = self.flow.admission();
        admission.close();
        let in_work = admission.in_work();
        if in_work > 0 {
            tracing::info!("stopping: requests in work: {in_work}");
        }
        if tokio::time::timeout(self.drain, admission.drained()).await.is_err() {
            let left = admission.in_work();
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

fn nodes(parts: &Server, flow: &Arc<Flow>) -> Vec<Arc<Node>> {
    let version = &parts.package.version;
    let descriptors = STANDARD.encode(&parts.package.schema.descriptors);
    let build = |(index, (spec, launch)): (usize, (&krt_model::version::Node, &Launch))| {
        let hello = frame::Hello {
            protocol: frame::PROTOCOL,
            node: spec.name.to_string(),
            version: version.name.to_string(),
            version_id: version.name.to_string(),
            runtime: parts.runtime.to_string(),
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
        Arc::new(Node {
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
        })
    };
    version.nodes.iter().zip(&parts.launches).enumerate().map(build).collect()
}

fn door(parts: &Server, flow: &Arc<Flow>) -> (Arc<Door>, tonic_health::server::HealthReporter) {
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
    let door = Door::new(&parts.package, Arc::clone(flow), parts.options.requests, generated);
    (Arc::new(door), reporter)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
