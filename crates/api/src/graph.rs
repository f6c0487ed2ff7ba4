//! A version as a graph, with its nodes' current state.

use crate::{Time, schema};
use krt_model::{language::Language, team::State};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::value::StrDeserializer};
use utoipa::ToSchema;

/// A version as a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// The version.
    #[schema(value_type = schema::Name)]
    pub version: String,
    /// Its state.
    #[schema(value_type = schema::State)]
    pub state: State,
    /// When the numbers were read.
    #[schema(value_type = schema::Time)]
    pub time: Time,
    /// The span that rates and percentiles cover, in seconds.
    pub window_seconds: u64,
    /// The number of requests in flight.
    pub in_flight: usize,
    /// Its nodes.
    pub nodes: Vec<GraphNode>,
    /// Its workflows.
    pub workflows: Vec<GraphWorkflow>,
}

/// A node and its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphNode {
    /// Its name.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// Its language, as far as it is known.
    #[schema(value_type = schema::NodeLanguage)]
    pub language: NodeLanguage,
    /// Its script or executable, relative to the package's root.
    pub src: String,
    /// Its state.
    pub state: NodeState,
    /// The number of workers that it should have now.
    pub replicas: usize,
    /// The fewest workers that it may have.
    pub min_replicas: usize,
    /// The most workers that it may have. If they are more than the fewest, the number follows the load.
    pub max_replicas: usize,
    /// The number of workers that are ready.
    pub workers: usize,
    /// The number of messages that wait.
    pub queue: usize,
    /// The number of restarts since the start.
    pub restarts: u64,
    /// Messages per second.
    pub rate: f64,
    /// Errors per second.
    pub errors: f64,
    /// Messages in the window.
    pub handled: u64,
    /// Errors in the window.
    pub failed: u64,
    /// How long handlers took.
    pub handler_ms: Percentiles,
    /// How long messages waited.
    pub waiting_ms: Percentiles,
    /// Its batches; `null` if its handler gets one message at a time.
    #[schema(required)]
    pub batch: Option<GraphBatch>,
    /// The GPUs of its workers; empty if it has none.
    pub gpus: Vec<GraphGpu>,
}

/// A GPU, and the workers of all nodes and versions that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphGpu {
    /// Its index or identifier, as workers see it.
    pub id: String,
    /// Its product name, if it is known.
    #[schema(required)]
    pub name: Option<String>,
    /// The number of workers that have it.
    pub workers: usize,
    /// Its memory in bytes.
    #[schema(required)]
    pub memory: Option<u64>,
    /// The bytes of its memory that are in use, by all processes.
    #[schema(required)]
    pub memory_used: Option<u64>,
    /// The part of the last moments in which it worked, 0 to 1.
    #[schema(required)]
    pub utilization: Option<f64>,
}

/// The batches of a node, and what it has learnt of them; `null` before the first batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphBatch {
    /// The most messages of a batch.
    pub max: u16,
    /// The mean number of messages in the latest batches.
    #[schema(required)]
    pub mean_size: Option<f64>,
    /// How long a batch of one message takes.
    #[schema(required)]
    pub one_ms: Option<f64>,
    /// How long a batch of the most messages takes.
    #[schema(required)]
    pub max_ms: Option<f64>,
}

/// A workflow and its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphWorkflow {
    /// Its name.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// Its method: `/package.Service/Method`.
    #[schema(required)]
    pub method: Option<String>,
    /// The name of its RPC.
    pub entrypoint: String,
    /// Its nodes, in order.
    #[schema(value_type = Vec<schema::Name>)]
    pub sequence: Vec<String>,
    /// Requests per second.
    pub rate: f64,
    /// Failed requests per second.
    pub errors: f64,
    /// Requests in the window.
    pub requests: u64,
    /// Failed requests in the window.
    pub failed: u64,
    /// How long requests took.
    pub elapsed_ms: Percentiles,
}

/// The language of a node, by its identifier. `None` is `executable`: it has no sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLanguage(pub Option<Language>);

impl Serialize for NodeLanguage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.map_or(schema::EXECUTABLE, Language::id).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodeLanguage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == schema::EXECUTABLE {
            return Ok(Self(None));
        }
        Language::deserialize(StrDeserializer::new(&text)).map(|language| Self(Some(language)))
    }
}

/// The state of a node. `degraded`: some of its workers are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Its version does not run.
    Stopped,
    /// None of its workers has been ready yet.
    Starting,
    /// All its workers are ready.
    Up,
    /// Some of its workers are ready.
    Degraded,
    /// None of its workers is ready.
    Down,
    /// It has no worker, as it needs none: the next message starts one.
    Asleep,
}

/// Percentiles in milliseconds; `null` when nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Percentiles {
    /// The median.
    #[schema(required)]
    pub p50: Option<f64>,
    /// The 95th percentile.
    #[schema(required)]
    pub p95: Option<f64>,
    /// The 99th percentile.
    #[schema(required)]
    pub p99: Option<f64>,
}
