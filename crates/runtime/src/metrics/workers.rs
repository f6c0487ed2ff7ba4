//! The processor time and the memory of workers and of this process, read when the metrics are read.

use krt_guard::Usage;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The workers that are up: the names of their nodes, by the process id of their guards.
#[derive(Debug, Clone, Default)]
pub(super) struct WorkerProcesses(Arc<Mutex<BTreeMap<u32, String>>>);

/// A worker counts among those that are up until this is dropped.
#[derive(Debug)]
pub struct TrackedWorker {
    guard: u32,
    processes: WorkerProcesses,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    node: String,
    worker: u32,
}

impl WorkerProcesses {
    /// Adds a worker, whose guard has this process id.
    pub(super) fn track(&self, node: &str, guard: u32) -> TrackedWorker {
        self.lock().insert(guard, node.to_owned());
        TrackedWorker { guard, processes: self.clone() }
    }

    /// Reads the memory of the largest worker of a node, in bytes.
    pub(super) fn largest(&self, node: &str) -> u64 {
        let workers = self.lock().clone().into_iter();
        let of_node = workers.filter(|(_, of)| of == node).map(|(guard, _)| guard);
        of_node.map(|guard| krt_guard::usage_below(guard).memory).max().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TrackedWorker {
    fn drop(&mut self) {
        self.processes.lock().remove(&self.guard);
    }
}

impl Collector for WorkerProcesses {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let workers = self.lock().clone();
        let read = |(worker, node)| (Labels { node, worker }, krt_guard::usage_below(worker));
        let workers: Vec<_> = workers.into_iter().map(read).collect();
        if !workers.is_empty() {
            write(
                &mut encoder,
                "worker",
                "a worker that is up, with the processes that it started",
                &workers,
            )?;
        }
        let no_labels: [(&str, &str); 0] = [];
        write(
            &mut encoder,
            "engine",
            "this process, without workers",
            &[(no_labels, krt_guard::usage_of_self())],
        )
    }
}

/// Writes a metric of the processor time and one of the memory, with a value for each of `usages`.
fn write<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    what: &str,
    whose: &str,
    usages: &[(L, Usage)],
) -> fmt::Result {
    let (name, help) = (format!("{what}_cpu"), format!("Processor time of {whose}"));
    let mut metric = encoder.encode_descriptor(&name, &help, Some(&Unit::Seconds), MetricType::Counter)?;
    for (labels, usage) in usages {
        ConstCounter::new(usage.processor.as_secs_f64()).encode(metric.encode_family(labels)?)?;
    }
    let (name, help) = (format!("{what}_memory"), format!("Memory of {whose}"));
    let mut metric = encoder.encode_descriptor(&name, &help, Some(&Unit::Bytes), MetricType::Gauge)?;
    for (labels, usage) in usages {
        ConstGauge::new(usage.memory as f64).encode(metric.encode_family(labels)?)?;
    }
    Ok(())
}
