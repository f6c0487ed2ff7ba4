//! A version as a graph, with the current state of its nodes.

use super::{
    App,
    caller::Caller,
    read::{Query, VersionPath},
    refusal::Refusal,
    response::{self, JsonResponse},
    wire,
};
use axum::{extract::State, response::Response};
use futures::stream;
use krt_api::graph::{
    Graph, GraphBatch, GraphGpu, GraphNode, GraphWorkflow, NodeLanguage, NodeState, Percentiles as Spread,
};
use krt_model::team::State as VersionState;
use krt_model::{name::Name, version::Batch};
use krt_package::Package;
use krt_registry::Timestamp;
use krt_runtime::{
    Engine,
    flow::Curve,
    gpus::GpuReading,
    metrics::{Percentiles, Reading},
};
use std::time::{Duration, Instant};

/// The interval of updates.
const TICK: Duration = Duration::from_secs(1);

fn spread(Percentiles { p50, p95, p99 }: Percentiles) -> Spread {
    Spread { p50, p95, p99 }
}

pub(super) async fn show(
    State(app): State<App>,
    VersionPath(runtime, version): VersionPath,
    query: Query,
) -> Result<JsonResponse<Graph>, Refusal> {
    let window = window(&query)?;
    Ok(response::ok(graph(&app, &runtime, &version, window).await?))
}

pub(super) async fn live(
    State(app): State<App>,
    caller: Caller,
    VersionPath(runtime, version): VersionPath,
    query: Query,
) -> Result<Response, Refusal> {
    let window = window(&query)?;
    let first = graph(&app, &runtime, &version, window).await?;
    let start = (app.clone(), Some(first));
    let graphs = stream::unfold(start, move |(app, first)| {
        let (runtime, version) = (runtime.clone(), version.clone());
        async move {
            let graph = match first {
                Some(graph) => graph,
                None => {
                    tokio::time::sleep(TICK).await;
                    // The stream ends when the version is removed.
                    graph(&app, &runtime, &version, window).await.ok()?
                }
            };
            Some((response::event("graph", &graph), (app, None)))
        }
    });
    Ok(response::live(&app, &caller, graphs))
}

fn window(query: &Query) -> Result<Duration, Refusal> {
    Ok(Duration::from_secs(query.number("window_seconds", 1, 300)?.unwrap_or(60)))
}

async fn graph(app: &App, runtime: &Name, version: &Name, window: Duration) -> Result<Graph, Refusal> {
    let state = app.backend().version(runtime, version).await?.state;
    let engine = app.backend().engine(runtime, version);
    let package = match &engine {
        Some(engine) => engine.package().clone(),
        None => app.backend().package(runtime, version).await?,
    };
    let look = GraphView { state, package: &package, engine: engine.as_deref(), window, now: Instant::now() };
    let of = &package.version;
    Ok(Graph {
        version: version.to_string(),
        state,
        time: wire::time(Timestamp::now()),
        window_seconds: window.as_secs(),
        in_flight: engine.as_ref().map_or(0, |engine| engine.flow().admission().in_flight()),
        nodes: (0..of.nodes.len()).map(|index| look.node(index)).collect(),
        workflows: (0..of.workflows.len()).map(|index| look.workflow(index)).collect(),
    })
}

/// A version at one moment.
struct GraphView<'a> {
    state: VersionState,
    package: &'a Package,
    engine: Option<&'a Engine>,
    window: Duration,
    now: Instant,
}

impl GraphView<'_> {
    fn node(&self, index: usize) -> GraphNode {
        let node = &self.package.version.nodes[index];
        let bounds = node.run.replicas;
        let gpus = self.engine.map(|engine| engine.gpus_of(index)).unwrap_or_default();
        let batches = self.engine.and_then(|engine| engine.flow().queue(index).batches());
        let (workers, queue, restarts, reading) = match self.engine {
            Some(engine) => {
                let (queue, metrics) = (engine.flow().queue(index), engine.flow().metrics());
                let reading = metrics.recent_of_node(index).read(self.now, self.window);
                (queue.workers(), queue.depth(), metrics.restarts(index), Some(reading))
            }
            None => (0, 0, 0, None),
        };
        let running = self.engine.map(|engine| engine.flow().queue(index));
        let asleep = running.is_some_and(|queue| queue.is_asleep());
        // A node in another engine has no number here.
        let wanted = running.map_or(0, |queue| queue.wanted());
        let replicas = if asleep { 0 } else { wanted.max(bounds.first().into()) };
        GraphNode {
            name: node.name.to_string(),
            language: NodeLanguage(node.language),
            src: node.src.clone(),
            state: if asleep { NodeState::Asleep } else { node_state(self.state, workers, replicas) },
            replicas,
            min_replicas: bounds.min.into(),
            max_replicas: bounds.max.into(),
            workers,
            queue,
            restarts,
            rate: self.per_second(reading.map(|reading| reading.count)),
            errors: self.per_second(reading.map(|reading| reading.failed)),
            handled: reading.map_or(0, |reading| reading.count),
            failed: reading.map_or(0, |reading| reading.failed),
            handler_ms: reading.map(|reading| spread(reading.took)).unwrap_or_default(),
            waiting_ms: reading.map(|reading| spread(reading.waited)).unwrap_or_default(),
            batch: node.run.batch.map(|Batch { max, .. }| batch(max, batches.as_ref())),
            gpus: gpus.into_iter().map(gpu).collect(),
        }
    }

    fn workflow(&self, index: usize) -> GraphWorkflow {
        let version = &self.package.version;
        let workflow = &version.workflows[index];
        let reading: Option<Reading> = self
            .engine
            .map(|engine| engine.flow().metrics().recent_of_workflow(index).read(self.now, self.window));
        let mut methods = self.package.schema.methods.iter();
        GraphWorkflow {
            name: workflow.name.to_string(),
            method: methods.find(|method| method.workflow == Some(index)).map(|method| method.path.clone()),
            entrypoint: workflow.entrypoint.clone(),
            sequence: workflow.sequence.iter().map(|&node| version.nodes[node].name.to_string()).collect(),
            rate: self.per_second(reading.map(|reading| reading.count)),
            errors: self.per_second(reading.map(|reading| reading.failed)),
            requests: reading.map_or(0, |reading| reading.count),
            failed: reading.map_or(0, |reading| reading.failed),
            elapsed_ms: reading.map(|reading| spread(reading.took)).unwrap_or_default(),
        }
    }

    fn per_second(&self, count: Option<u64>) -> f64 {
        count.unwrap_or_default() as f64 / self.window.as_secs_f64()
    }
}

fn gpu(GpuReading { id, name, workers, memory, utilization }: GpuReading) -> GraphGpu {
    let (memory_used, memory) = memory.unzip();
    GraphGpu { id, name, workers, memory, memory_used, utilization }
}

/// The batches of a node, with what a running node has learnt of them.
fn batch(max: u16, learnt: Option<&Curve>) -> GraphBatch {
    let known = learnt.filter(|curve| curve.is_known());
    let mean_ms = |size| known.map(|curve| curve.mean(size).as_secs_f64() * 1e3);
    GraphBatch { max, mean_size: known.map(Curve::mean_size), one_ms: mean_ms(1), max_ms: mean_ms(max) }
}

fn node_state(version: VersionState, workers: usize, replicas: usize) -> NodeState {
    match version {
        VersionState::Created | VersionState::Stopped | VersionState::Error => NodeState::Stopped,
        _ if workers >= replicas => NodeState::Up,
        VersionState::Starting => NodeState::Starting,
        _ if workers > 0 => NodeState::Degraded,
        VersionState::Stopping => NodeState::Stopped,
        VersionState::Started | VersionState::Published => NodeState::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_show_what_was_learnt() {
        let nothing = GraphBatch { max: 64, mean_size: None, one_ms: None, max_ms: None };
        assert_eq!(batch(64, None), nothing);
        let mut curve = Curve::default();
        assert_eq!(batch(64, Some(&curve)), nothing);
        curve.observe(4, Duration::from_millis(8));
        let found = batch(64, Some(&curve));
        assert_eq!(
            (found.mean_size, found.one_ms.map(f64::round), found.max_ms.map(f64::round)),
            (Some(4.0), Some(2.0), Some(128.0))
        );
    }

    #[test]
    fn states_of_nodes() {
        let rows = [
            (VersionState::Created, 0, 1, NodeState::Stopped),
            (VersionState::Starting, 0, 1, NodeState::Starting),
            (VersionState::Starting, 1, 1, NodeState::Up),
            (VersionState::Published, 2, 2, NodeState::Up),
            (VersionState::Published, 1, 2, NodeState::Degraded),
            (VersionState::Started, 0, 2, NodeState::Down),
            (VersionState::Stopping, 0, 2, NodeState::Stopped),
            (VersionState::Error, 0, 1, NodeState::Stopped),
        ];
        for (version, workers, replicas, expected) in rows {
            assert_eq!(node_state(version, workers, replicas), expected, "{version} {workers}/{replicas}");
        }
    }
}
