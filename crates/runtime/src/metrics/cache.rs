//! The metrics of caches.

use super::WorkflowLabels;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The metrics of one workflow's cache.
#[derive(Debug, Clone)]
pub struct CacheMetrics {
    /// Requests with an answer that was kept.
    pub hits: Counter,
    /// Requests whose handlers ran.
    pub misses: Counter,
    /// Requests with the answer to an equal one that was in flight.
    pub shared: Counter,
    /// Answers that left for others before their time.
    pub evicted: Counter,
    entries: Gauge,
    bytes: Gauge,
}

/// The metrics of all caches.
#[derive(Debug, Default)]
pub(super) struct Families {
    requests: Family<CacheLabels, Counter>,
    evicted: Family<WorkflowLabels, Counter>,
    entries: Family<WorkflowLabels, Gauge>,
    bytes: Family<WorkflowLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    workflow: String,
    result: &'static str,
}

impl CacheMetrics {
    /// Sets the number of kept answers, and their memory.
    pub fn set(&self, entries: usize, bytes: usize) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.entries.set(count(entries));
        self.bytes.set(count(bytes));
    }
}

impl Families {
    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { requests, evicted, entries, bytes } = self;
        registry.register(
            "cache_requests",
            "Requests of a workflow with a cache, by result",
            requests.clone(),
        );
        registry.register("cache_evicted", "Answers that left a cache for others", evicted.clone());
        registry.register("cache_entries", "Answers in a cache", entries.clone());
        registry.register("cache_bytes", "Memory of the answers in a cache", bytes.clone());
    }

    pub(super) fn of(&self, workflow: &str) -> CacheMetrics {
        let labels = WorkflowLabels { workflow: workflow.to_owned() };
        let requests = |result| {
            self.requests.get_or_create_owned(&CacheLabels { workflow: workflow.to_owned(), result })
        };
        CacheMetrics {
            hits: requests("hit"),
            misses: requests("miss"),
            shared: requests("shared"),
            evicted: self.evicted.get_or_create_owned(&labels),
            entries: self.entries.get_or_create_owned(&labels),
            bytes: self.bytes.get_or_create_owned(&labels),
        }
    }
}

#[cfg(test)]
impl super::Metrics {
    /// Returns the metrics of a cache that no page shows.
    pub(crate) fn cache_for_tests() -> CacheMetrics {
        Families::default().of("w")
    }
}
