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

/// The workers that are up, by the process id of their guards.
#[derive(Debug, Clone, Default)]
pub(super) struct WorkerProcesses(Arc<Mutex<BTreeMap<u32, WorkerProcess>>>);

#[derive(Debug, Clone)]
struct WorkerProcess {
    node: String,
    /// Whether it shares memory with other workers.
    shares: bool,
}

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
    pub(super) fn track(&self, node: &str, guard: u32, shares: bool) -> TrackedWorker {
        self.lock().insert(guard, WorkerProcess { node: node.to_owned(), shares });
        TrackedWorker { guard, processes: self.clone() }
    }

    /// Reads the memory of the largest worker of a node, in bytes.
    pub(super) fn largest(&self, node: &str) -> u64 {
        let usages = self.usages(|worker| worker.node == node).into_iter();
        usages.map(|(_, usage)| usage.memory).max().unwrap_or_default()
    }

    /// Reads the usage of some workers. The guard of a worker that was forked is below that of the process it was forked
    /// from.
    fn usages(&self, which: impl Fn(&WorkerProcess) -> bool) -> Vec<(Labels, Usage)> {
        let workers = self.lock().clone();
        let guards = workers.keys().copied().collect();
        let read = |(worker, WorkerProcess { node, shares })| {
            (Labels { node, worker }, krt_guard::usage_below(worker, &guards, shares))
        };
        workers.into_iter().filter(|(_, worker)| which(worker)).map(read).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, WorkerProcess>> {
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
        let workers = self.usages(|_| true);
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
