//! Numbers for a monitoring system: what was asked, how it ended, how long it took and waited.
//!
//! [`page`] serves them in the OpenMetrics text form, which Prometheus reads.

pub mod page;
mod pulse;

pub use pulse::{Percentiles, Pulse, Reading};

use krt_model::{outcome::Failure, version::Version};
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

/// The numbers of one version, since the start.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    workflows: Vec<OfWorkflow>,
    nodes: Vec<OfNode>,
    failures: Family<Kind, Counter>,
    in_work: Gauge,
    /// Results that came when nobody waited any more.
    pub late: Counter,
    /// Workflows that failed after an early reply.
    pub failed_in_background: Counter,
    /// What is counted only where messages go through a broker.
    pub broker: OfBroker,
}

/// The numbers of a broker.
#[derive(Debug, Default)]
pub struct OfBroker {
    /// Messages that were given out before.
    pub redelivered: Counter,
    /// Messages that were given up and kept apart.
    pub dead: Counter,
    connected: Gauge,
}

impl OfBroker {
    fn register(&self, registry: &mut Registry) {
        let Self { redelivered, dead, connected } = self;
        registry.register("broker_connected", "Whether the broker is there", connected.clone());
        registry.register("redelivered", "Messages that were given out before", redelivered.clone());
        registry.register("dead_letters", "Messages that were given up and kept apart", dead.clone());
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a message.
    Answered,
    /// With an error.
    Failed,
    /// Its client left before.
    Left,
}

impl Ending {
    const ALL: [Self; 3] = [Self::Answered, Self::Failed, Self::Left];

    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }
}

/// What is known of a node at the moment that the numbers are read.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Messages that wait for a process.
    pub waiting: usize,
    /// Processes that are up.
    pub hosts: usize,
}

#[derive(Debug)]
struct OfWorkflow {
    name: String,
    seconds: Histogram,
    /// By [`Ending`].
    endings: [Counter; 3],
    pulse: Pulse,
}

#[derive(Debug)]
struct OfNode {
    handler: Histogram,
    waiting: Histogram,
    restarts: Counter,
    queue: Gauge,
    hosts: Gauge,
    pulse: Pulse,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OneWorkflow {
    workflow: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OneNode {
    node: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    workflow: String,
    ending: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    workflow: String,
    kind: &'static str,
}

/// From half a millisecond to sixteen seconds, each twice the one before.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

impl Metrics {
    /// The numbers of a version, all zero; `through_broker` says whether its messages go through one.
    pub fn new(version: &Version, through_broker: bool) -> Self {
        let start = Instant::now();
        let mut registry = Registry::with_prefix("krt");
        let requests = Family::<Ended, Counter>::default();
        let seconds = Family::<OneWorkflow, Histogram>::new_with_constructor(histogram);
        let failures = Family::<Kind, Counter>::default();
        let handler = Family::<OneNode, Histogram>::new_with_constructor(histogram);
        let waiting = Family::<OneNode, Histogram>::new_with_constructor(histogram);
        let restarts = Family::<OneNode, Counter>::default();
        let queue = Family::<OneNode, Gauge>::default();
        let hosts = Family::<OneNode, Gauge>::default();
        let (in_work, late, background) = (Gauge::default(), Counter::default(), Counter::default());
        registry.register("requests", "Requests, by workflow and ending", requests.clone());
        registry.register("request_seconds", "From a request to its answer", seconds.clone());
        registry.register("failures", "Requests that failed, by workflow and kind", failures.clone());
        registry.register("requests_in_work", "Requests in work", in_work.clone());
        registry.register("handler_seconds", "What a node's handler took", handler.clone());
        registry.register(
            "waiting_seconds",
            "What a message waited before a node's handler",
            waiting.clone(),
        );
        registry.register("queue", "Messages that wait for a process of a node", queue.clone());
        registry.register("hosts", "Processes of a node that are up", hosts.clone());
        registry.register("restarts", "Processes of a node that were started anew", restarts.clone());
        registry.register("late_results", "Results when nobody waited any more", late.clone());
        registry.register("background_failures", "Failures after an early reply", background.clone());
        let broker = OfBroker::default();
        if through_broker {
            broker.register(&mut registry);
        }
        let workflows = version.workflows.iter().map(|workflow| {
            let name = workflow.name.to_string();
            let ended = |ending: Ending| Ended { workflow: name.clone(), ending: ending.as_str() };
            OfWorkflow {
                seconds: seconds.get_or_create_owned(&OneWorkflow { workflow: name.clone() }),
                endings: Ending::ALL.map(|ending| requests.get_or_create_owned(&ended(ending))),
                pulse: Pulse::new(start),
                name,
            }
        });
        let nodes = version.nodes.iter().map(|node| {
            let labels = OneNode { node: node.name.to_string() };
            OfNode {
                handler: handler.get_or_create_owned(&labels),
                waiting: waiting.get_or_create_owned(&labels),
                restarts: restarts.get_or_create_owned(&labels),
                queue: queue.get_or_create_owned(&labels),
                hosts: hosts.get_or_create_owned(&labels),
                pulse: Pulse::new(start),
            }
        });
        Self {
            workflows: workflows.collect(),
            nodes: nodes.collect(),
            registry,
            failures,
            in_work,
            late,
            failed_in_background: background,
            broker,
        }
    }

    /// A request of a workflow ended, after that long.
    pub fn request(&self, workflow: usize, ending: Ending, took: Duration) {
        let of = &self.workflows[workflow];
        of.endings[ending as usize].inc();
        if ending != Ending::Left {
            of.seconds.observe(took.as_secs_f64());
            of.pulse.beat(Instant::now(), took, Duration::ZERO, ending == Ending::Failed);
        }
    }

    /// Why a request of a workflow failed.
    pub fn failure(&self, workflow: usize, failure: &Failure) {
        let workflow = self.workflows[workflow].name.clone();
        self.failures.get_or_create(&Kind { workflow, kind: failure.kind().as_str() }).inc();
    }

    /// A node's handler returned: how long it took, how long its message had waited, whether it failed.
    pub fn handled(&self, node: usize, took: Duration, waited: Duration, failed: bool) {
        self.nodes[node].handler.observe(took.as_secs_f64());
        self.nodes[node].waiting.observe(waited.as_secs_f64());
        self.nodes[node].pulse.beat(Instant::now(), took, waited, failed);
    }

    /// What happened lately at a node.
    pub fn pulse_of_node(&self, node: usize) -> &Pulse {
        &self.nodes[node].pulse
    }

    /// What happened lately to a workflow's requests.
    pub fn pulse_of_workflow(&self, workflow: usize) -> &Pulse {
        &self.workflows[workflow].pulse
    }

    /// How often processes of a node were started anew.
    pub fn restarts(&self, node: usize) -> u64 {
        self.nodes[node].restarts.get()
    }

    /// A node's process was started anew.
    pub fn restarted(&self, node: usize) {
        self.nodes[node].restarts.inc();
    }

    /// The text, with what is known at this moment.
    pub fn text(&self, in_work: usize, connected: bool, nodes: impl Iterator<Item = Now>) -> String {
        self.broker.connected.set(i64::from(connected));
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.in_work.set(count(in_work));
        for (of, now) in self.nodes.iter().zip(nodes) {
            of.queue.set(count(now.waiting));
            of.hosts.set(count(now.hosts));
        }
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}
