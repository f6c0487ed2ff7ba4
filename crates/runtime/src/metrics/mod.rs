//! Metrics for a monitoring system: requests, their results, their durations and waiting times.
//!
//! [`page`] serves them in the OpenMetrics text format, which Prometheus reads.

mod cache;
pub mod page;
mod rolling;
mod workers;

pub use cache::CacheMetrics;
pub use rolling::{Percentiles, Reading, RollingStats};
pub use workers::TrackedWorker;

use krt_model::{outcome::Failure, request::Ending, version::Version};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::time::{Duration, Instant};
use workers::WorkerProcesses;

/// The endings that are counted.
const ENDINGS: [Ending; 3] = [Ending::Answered, Ending::Failed, Ending::Left];

/// The metrics of one version since its start.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    workflows: Vec<WorkflowMetrics>,
    nodes: Vec<NodeMetrics>,
    failures: Family<FailureLabels, Counter>,
    in_flight: Gauge,
    workers: WorkerProcesses,
    /// Results that arrived when no client was waiting any more.
    pub late: Counter,
    /// Workflows that failed after an early reply.
    pub failed_in_background: Counter,
    /// Metrics that exist only with a broker.
    pub broker: BrokerMetrics,
}

/// The metrics of a broker.
#[derive(Debug, Default)]
pub struct BrokerMetrics {
    /// Messages delivered more than once.
    pub redelivered: Counter,
    /// Dead letters.
    pub dead: Counter,
    connected: Gauge,
}

impl BrokerMetrics {
    fn register(&self, registry: &mut Registry) {
        let Self { redelivered, dead, connected } = self;
        registry.register("broker_connected", "Whether the broker is connected: 1 or 0", connected.clone());
        registry.register("messages_redelivered", "Messages that were delivered before", redelivered.clone());
        registry.register("messages_dead_lettered", "Messages that were dead-lettered", dead.clone());
    }
}

/// The state of a node at the time of reading.
#[derive(Debug, Clone, Copy)]
pub struct NodeGauges {
    /// Messages that wait for a process.
    pub waiting: usize,
    /// Processes that are up.
    pub workers: usize,
    /// Processes that there should be.
    pub wanted: usize,
}

#[derive(Debug)]
struct WorkflowMetrics {
    name: String,
    seconds: Histogram,
    /// By [`ENDINGS`].
    endings: [Counter; ENDINGS.len()],
    recent: RollingStats,
    cache: Option<CacheMetrics>,
}

#[derive(Debug)]
struct NodeMetrics {
    name: String,
    handler: Histogram,
    waiting: Histogram,
    /// If its handler gets batches.
    batch: Option<Histogram>,
    restarts: Counter,
    queue: Gauge,
    workers: Gauge,
    wanted: Gauge,
    recent: RollingStats,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WorkflowLabels {
    workflow: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabels {
    node: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    workflow: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    workflow: String,
    kind: &'static str,
}

/// Buckets from half a millisecond to sixteen seconds, each twice the previous one.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

/// Buckets from one message to 1024, each twice the previous one.
fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 11))
}

impl Metrics {
    /// Creates the metrics of a version, all zero; `through_broker` adds those of a broker.
    pub fn new(version: &Version, through_broker: bool) -> Self {
        let start = Instant::now();
        let mut registry = Registry::with_prefix("krt");
        let requests = Family::<OutcomeLabels, Counter>::default();
        let seconds = Family::<WorkflowLabels, Histogram>::new_with_constructor(histogram);
        let failures = Family::<FailureLabels, Counter>::default();
        let handler = Family::<NodeLabels, Histogram>::new_with_constructor(histogram);
        let waiting = Family::<NodeLabels, Histogram>::new_with_constructor(histogram);
        let batch = Family::<NodeLabels, Histogram>::new_with_constructor(sizes);
        let restarts = Family::<NodeLabels, Counter>::default();
        let queue = Family::<NodeLabels, Gauge>::default();
        let workers = Family::<NodeLabels, Gauge>::default();
        let wanted = Family::<NodeLabels, Gauge>::default();
        let (in_flight, late, background) = (Gauge::default(), Counter::default(), Counter::default());
        registry.register("requests", "Requests, by workflow and outcome", requests.clone());
        registry.register("request_duration_seconds", "Time from a request to its answer", seconds.clone());
        registry.register(
            "request_failures",
            "Failed requests, by workflow and kind of failure",
            failures.clone(),
        );
        registry.register("requests_in_flight", "Requests in flight", in_flight.clone());
        registry.register("handler_duration_seconds", "Time that a node's handler took", handler.clone());
        registry.register(
            "queue_wait_seconds",
            "Time that a message waited in a node's queue",
            waiting.clone(),
        );
        registry.register("batch_size", "Messages in a batch of a node", batch.clone());
        registry.register("queue_depth", "Messages in a node's queue", queue.clone());
        registry.register("workers", "Workers of a node that are ready", workers.clone());
        registry.register("workers_wanted", "Workers that a node should have", wanted.clone());
        registry.register("worker_restarts", "Restarts of a node's workers", restarts.clone());
        registry.register("late_results", "Results for requests that had already ended", late.clone());
        registry.register("background_failures", "Failures after an early reply", background.clone());
        let caches = cache::Families::default();
        if version.workflows.iter().any(|workflow| workflow.cache.is_some()) {
            caches.register(&mut registry);
        }
        let processes = WorkerProcesses::default();
        registry.register_collector(Box::new(processes.clone()));
        let broker = BrokerMetrics::default();
        if through_broker {
            broker.register(&mut registry);
        }
        let workflows = version.workflows.iter().map(|workflow| {
            let name = workflow.name.to_string();
            let ended = |ending: Ending| OutcomeLabels { workflow: name.clone(), outcome: ending.as_str() };
            WorkflowMetrics {
                seconds: seconds.get_or_create_owned(&WorkflowLabels { workflow: name.clone() }),
                endings: ENDINGS.map(|ending| requests.get_or_create_owned(&ended(ending))),
                recent: RollingStats::new(start),
                cache: workflow.cache.map(|_| caches.of(&name)),
                name,
            }
        });
        let nodes = version.nodes.iter().map(|node| {
            let labels = NodeLabels { node: node.name.to_string() };
            NodeMetrics {
                name: labels.node.clone(),
                handler: handler.get_or_create_owned(&labels),
                waiting: waiting.get_or_create_owned(&labels),
                batch: node.run.batch.map(|_| batch.get_or_create_owned(&labels)),
                restarts: restarts.get_or_create_owned(&labels),
                queue: queue.get_or_create_owned(&labels),
                workers: workers.get_or_create_owned(&labels),
                wanted: wanted.get_or_create_owned(&labels),
                recent: RollingStats::new(start),
            }
        });
        Self {
            workflows: workflows.collect(),
            nodes: nodes.collect(),
            registry,
            failures,
            in_flight,
            workers: processes,
            late,
            failed_in_background: background,
            broker,
        }
    }

    /// Counts a request of a workflow that ended after `took`.
    pub fn request(&self, workflow: usize, ending: Ending, took: Duration) {
        let of = &self.workflows[workflow];
        if let Some(index) = ENDINGS.iter().position(|counted| *counted == ending) {
            of.endings[index].inc();
        }
        if ending != Ending::Left {
            of.seconds.observe(took.as_secs_f64());
            of.recent.record(Instant::now(), took, Duration::ZERO, ending == Ending::Failed);
        }
    }

    /// Counts the failure of a workflow's request.
    pub fn failure(&self, workflow: usize, failure: &Failure) {
        let workflow = self.workflows[workflow].name.clone();
        self.failures.get_or_create(&FailureLabels { workflow, kind: failure.kind().as_str() }).inc();
    }

    /// Counts a handler's return: its duration, its message's waiting time, and whether it failed.
    pub fn handled(&self, node: usize, took: Duration, waited: Duration, failed: bool) {
        self.nodes[node].handler.observe(took.as_secs_f64());
        self.nodes[node].waiting.observe(waited.as_secs_f64());
        self.nodes[node].recent.record(Instant::now(), took, waited, failed);
    }

    /// Counts a batch of so many messages that a node's handler gets.
    pub fn batch(&self, node: usize, size: u16) {
        if let Some(sizes) = &self.nodes[node].batch {
            sizes.observe(f64::from(size));
        }
    }

    /// Returns a node's statistics of the last minutes.
    pub fn recent_of_node(&self, node: usize) -> &RollingStats {
        &self.nodes[node].recent
    }

    /// Returns a workflow's statistics of the last minutes.
    pub fn recent_of_workflow(&self, workflow: usize) -> &RollingStats {
        &self.workflows[workflow].recent
    }

    /// Returns the metrics of a workflow's cache, if it has one.
    pub fn cache(&self, workflow: usize) -> Option<&CacheMetrics> {
        self.workflows[workflow].cache.as_ref()
    }

    /// Returns the number of restarts of a node's processes.
    pub fn restarts(&self, node: usize) -> u64 {
        self.nodes[node].restarts.get()
    }

    /// Counts a restart of a node's process.
    pub fn restarted(&self, node: usize) {
        self.nodes[node].restarts.inc();
    }

    /// Shows a node's worker, whose guard has this process id, until what it returns is dropped. `shares`: it shares memory
    /// with others.
    pub fn track_worker(&self, node: usize, guard: u32, shares: bool) -> TrackedWorker {
        self.workers.track(&self.nodes[node].name, guard, shares)
    }

    /// Reads the memory of the largest of a node's workers that are up, in bytes.
    pub fn largest_worker(&self, node: usize) -> u64 {
        self.workers.largest(&self.nodes[node].name)
    }

    /// Renders the text, with the given current state, followed by the metrics of `more`.
    pub fn text(
        &self,
        in_flight: usize,
        connected: bool,
        nodes: impl Iterator<Item = NodeGauges>,
        more: &Registry,
    ) -> String {
        self.broker.connected.set(i64::from(connected));
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.in_flight.set(count(in_flight));
        for (of, now) in self.nodes.iter().zip(nodes) {
            of.queue.set(count(now.waiting));
            of.workers.set(count(now.workers));
            of.wanted.set(count(now.wanted));
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode_registry(&mut text, &self.registry)
            .and_then(|()| text::encode_registry(&mut text, more))
            .and_then(|()| text::encode_eof(&mut text));
        text
    }
}

#[cfg(test)]
mod tests;
