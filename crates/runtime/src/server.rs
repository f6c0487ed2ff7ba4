//! Puts the parts together, runs them until told to stop, drains.

use crate::{
    entry::{self, Door, listen},
    flow::{self, Flow},
    logs::Logs,
    metrics::page,
    node::{Launch, Lifeline, Node, Nodes, Plain, StartError, frame},
    traces::Traces,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use krt_package::Package;
use krt_remote::Documents;
use krt_store::Store;
use std::{path::Path, sync::Arc, time::Duration};
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
    /// Where traces go.
    pub traces: Traces,
    /// What it is held to.
    pub options: Options,
}

/// Bytes of a frame beside its message: header, times, type.
const FRAME_MARGIN: usize = 64 << 10;
/// How long hosts may take to end when nothing is in work any more.
const HOSTS_END: Duration = Duration::from_secs(5);

impl Server {
    /// Serves until `shutdown`, then drains. `restarts` names nodes whose hosts are to be replaced;
    /// `ready` is called once, when requests are let in.
    ///
    /// Returns when nothing is left: no connection, no process.
    pub async fn run(
        mut self,
        listener: TcpListener,
        restarts: mpsc::Receiver<usize>,
        ready: impl FnOnce(),
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), StartError> {
        let flow = Arc::new(Flow::new(&self.package.version, self.options.work, &self.store));
        let nodes = self.nodes(&flow);
        let address = listener.local_addr();
        let stopped = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (door, reporter) = self.door(&flow);
        tasks.spawn(listen::run(listener, door, stopped.clone().cancelled_owned(), HOSTS_END));
        let health = entry::watch_health(Arc::clone(&self.package), Arc::clone(&flow), reporter);
        let health = tokio::spawn(health);
        let page = self.metrics_page(&flow);
        let page = tokio::spawn(page);
        tokio::pin!(shutdown);

        let started = tokio::select! {
            started = Nodes::start(&nodes, &self.lifeline) => started.map(Some),
            () = &mut shutdown => Ok(None),
        };
        let outcome = match started {
            Ok(Some(running)) => {
                flow.admission().open();
                if let Ok(address) = address {
                    tracing::info!("listening on {address}");
                }
                ready();
                serve(&running, &nodes, restarts, shutdown).await;
                self.drain(&flow, running).await;
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        stopped.cancel();
        tasks.join_all().await;
        health.abort();
        page.abort();
        outcome
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
        let descriptors = STANDARD.encode(&self.package.schema.descriptors);
        let build = |(index, (spec, launch)): (usize, (&krt_model::version::Node, &Launch))| {
            let hello = frame::Hello {
                protocol: frame::PROTOCOL,
                node: spec.name.to_string(),
                version: version.name.to_string(),
                version_id: version.name.to_string(),
                runtime: version.name.to_string(),
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
            Arc::new(Node {
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
            })
        };
        version.nodes.iter().zip(&self.launches).enumerate().map(build).collect()
    }

    fn door(&self, flow: &Arc<Flow>) -> (Arc<Door>, tonic_health::server::HealthReporter) {
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
        let door =
            Door::new(&self.package, Arc::clone(flow), self.options.requests, generated, self.traces.clone());
        (Arc::new(door), reporter)
    }

    /// Lets in nobody new, finishes what is in work, and ends the hosts.
    async fn drain(&self, flow: &Flow, nodes: Nodes) {
        let admission = flow.admission();
        admission.close();
        let in_work = admission.in_work();
        if in_work > 0 {
            tracing::info!("stopping: requests in work: {in_work}");
        }
        if tokio::time::timeout(self.options.drain, admission.drained()).await.is_err() {
            let left = admission.in_work();
            let seconds = self.options.drain.as_secs_f64();
            tracing::warn!("not finished within {seconds} s and given up: requests in work: {left}");
        }
        nodes.stop(HOSTS_END).await;
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
        tokio::select! {
            () = &mut shutdown => return,
            Some(index) = restarts.recv() => running.restart(&nodes[index]).await,
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
