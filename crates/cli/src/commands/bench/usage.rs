//! Where a request's time goes, and what workers take of the machine: from a service's metrics, read before and after.

use crate::{
    client::Address,
    error::{Context as _, Error, Result, bail, ensure},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// How long a service may take to send its metrics.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest page of metrics, in bytes.
const MAX_PAGE: usize = 8 << 20;

/// The metrics at one time.
#[derive(Debug, Default)]
pub(in crate::commands) struct Metrics(Vec<Sample>);

#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Where the time of requests went, and what processes took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::commands) struct Usage {
    /// The mean time from a request to its answer, as the service sees it: without the network and the client.
    pub(in crate::commands) request_ms: f64,
    pub(in crate::commands) nodes: Vec<NodeUsage>,
    /// The part of a request's time that no node accounts for, from 0 to 1; `None` if nodes work on after the answer.
    pub(in crate::commands) rest: Option<f64>,
    pub(in crate::commands) processes: Vec<ProcessUsage>,
}

/// The calls of a node's handler.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::commands) struct NodeUsage {
    pub(in crate::commands) node: String,
    pub(in crate::commands) calls: f64,
    /// The mean time that a message waited.
    pub(in crate::commands) wait_ms: f64,
    /// The mean time that the handler took.
    pub(in crate::commands) handler_ms: f64,
    /// The part of a request's time, from 0 to 1.
    pub(in crate::commands) share: f64,
}

/// What a process and those that it started took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::commands) struct ProcessUsage {
    /// The node of a worker; `None` for the engine.
    pub(in crate::commands) node: Option<String>,
    /// Processors in use, on average.
    pub(in crate::commands) processors: f64,
    /// Memory at the end, in bytes.
    pub(in crate::commands) memory: f64,
}

impl Metrics {
    /// Reads the metrics of the service at an address.
    pub(in crate::commands) async fn read(address: &Address) -> Result<Self> {
        ensure!(!address.tls(), "metrics are served without TLS"; hint: "write http://HOST:PORT");
        let read = tokio::time::timeout(TIMEOUT, fetch(address)).await;
        let text = match read {
            Ok(text) => text.with_context(|| format!("cannot read the metrics at {address}"))?,
            Err(_) => bail!("no metrics came from {address} within {} s", TIMEOUT.as_secs()),
        };
        let metrics = Self::parse(&text);
        ensure!(
            metrics.0.iter().any(|sample| sample.name.starts_with("krt_")),
            "{address} serves no metrics of krt";
            hint: "`krt run --metrics ADDRESS` serves them"
        );
        Ok(metrics)
    }

    fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The values of a metric, by one of its labels; empty without that label.
    fn by(&self, name: &str, label: &str) -> BTreeMap<&str, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.0.iter().filter(|sample| sample.name == name) {
            *sums.entry(sample.labels.get(label).map_or("", String::as_str)).or_default() += sample.value;
        }
        sums
    }

    /// How much a counter has grown since `before`, by a label.
    fn growth(&self, before: &Self, name: &str, label: &str) -> BTreeMap<&str, f64> {
        let old = before.by(name, label);
        self.by(name, label)
            .into_iter()
            .map(|(key, value)| (key, value - old.get(key).unwrap_or(&0.0)))
            .collect()
    }

    /// Compares with the metrics before `time`.
    pub(in crate::commands) fn since(&self, before: &Self, time: Duration) -> Usage {
        let growth = |name, label| self.growth(before, name, label);
        let calls = growth("krt_handler_duration_seconds_count", "node");
        let handled = growth("krt_handler_duration_seconds_sum", "node");
        let waited = growth("krt_queue_wait_seconds_sum", "node");
        let all: f64 = growth("krt_request_duration_seconds_sum", "workflow").values().sum();
        let requests: f64 = growth("krt_request_duration_seconds_count", "workflow").values().sum();
        let of = |sums: &BTreeMap<&str, f64>, node: &str| sums.get(node).copied().unwrap_or(0.0);
        let nodes: Vec<_> = calls
            .iter()
            .filter(|(_, calls)| **calls > 0.0)
            .map(|(&node, &calls)| NodeUsage {
                node: node.to_owned(),
                calls,
                wait_ms: 1e3 * of(&waited, node) / calls,
                handler_ms: 1e3 * of(&handled, node) / calls,
                share: if all > 0.0 { (of(&waited, node) + of(&handled, node)) / all } else { 0.0 },
            })
            .collect();
        let rest = 1.0 - nodes.iter().map(|node| node.share).sum::<f64>();
        Usage {
            request_ms: if requests > 0.0 { 1e3 * all / requests } else { 0.0 },
            rest: (all > 0.0 && rest >= 0.0).then_some(rest),
            processes: self.processes(before, time),
            nodes,
        }
    }

    /// The engine, then the workers by their nodes. A worker that has started meanwhile counts from its start.
    fn processes(&self, before: &Self, time: Duration) -> Vec<ProcessUsage> {
        let of = |name: &str, label: &str| {
            let memory = self.by(&format!("krt_{name}_memory_bytes"), label);
            let processor = self.growth(before, &format!("krt_{name}_cpu_seconds_total"), label);
            let usage = |(key, seconds): (&str, f64)| ProcessUsage {
                node: self.node_of(key),
                processors: seconds / time.as_secs_f64(),
                memory: memory.get(key).copied().unwrap_or(0.0),
            };
            processor.into_iter().map(usage).collect::<Vec<_>>()
        };
        let mut processes = [of("engine", ""), of("worker", "worker")].concat();
        processes.sort_by(|one, other| one.node.cmp(&other.node));
        processes
    }

    fn node_of(&self, worker: &str) -> Option<String> {
        let is = |sample: &&Sample| sample.labels.get("worker").is_some_and(|label| label == worker);
        self.0.iter().find(is).and_then(|sample| sample.labels.get("node").cloned())
    }
}

async fn fetch(address: &Address) -> Result<String> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let response = client.get(address.at("/metrics")).await.map_err(Error::plain)?;
    ensure!(response.status().is_success(), "the server answers {}", response.status());
    let body = Limited::new(response.into_body(), MAX_PAGE).collect().await;
    let body = body.map_err(|error| Error::new(format_args!("the answer is not whole: {error}")))?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

/// A line of the text format of Prometheus: `name{label="value"} 1.5`.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: BTreeMap::new(), value });
    };
    // Names of nodes, workflows and workers have neither quotes nor commas.
    let label = |label: &str| {
        let (name, value) = label.split_once("=\"")?;
        Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
    };
    let labels = labels.strip_suffix('}')?.split(',').filter_map(label).collect();
    Some(Sample { name: name.to_owned(), labels, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
# TYPE krt_requests counter
krt_request_duration_seconds_sum{workflow=\"greet\"} 1.0
krt_handler_duration_seconds_sum{node=\"etl\"} 0.5
krt_handler_duration_seconds_count{node=\"etl\"} 10
krt_queue_wait_seconds_sum{node=\"etl\"} 0.1
krt_worker_cpu_seconds_total{node=\"etl\",worker=\"7\"} 2.0
krt_engine_cpu_seconds_total 1.0
krt_engine_memory_bytes 100
# EOF
";
    const AFTER: &str = "\
krt_request_duration_seconds_sum{workflow=\"greet\"} 3.0
krt_request_duration_seconds_count{workflow=\"greet\"} 20
krt_handler_duration_seconds_sum{node=\"etl\"} 1.5
krt_handler_duration_seconds_count{node=\"etl\"} 30
krt_queue_wait_seconds_sum{node=\"etl\"} 0.3
krt_worker_cpu_seconds_total{node=\"etl\",worker=\"7\"} 7.0
krt_worker_cpu_seconds_total{node=\"etl\",worker=\"9\"} 1.0
krt_worker_memory_bytes{node=\"etl\",worker=\"7\"} 64
krt_engine_cpu_seconds_total 2.0
krt_engine_memory_bytes 120
";

    #[test]
    fn times_and_processes() {
        let usage = Metrics::parse(AFTER).since(&Metrics::parse(BEFORE), Duration::from_secs(10));
        let [etl] = &usage.nodes[..] else { panic!("{usage:?}") };
        assert_eq!((etl.node.as_str(), etl.calls, etl.handler_ms), ("etl", 20.0, 50.0));
        assert!((etl.wait_ms - 10.0).abs() < 1e-9 && (etl.share - 0.6).abs() < 1e-9, "{etl:?}");
        assert!((usage.rest.unwrap() - 0.4).abs() < 1e-9 && usage.request_ms == 100.0, "{usage:?}");
        let of = |node: Option<&str>, processors, memory| ProcessUsage {
            node: node.map(str::to_owned),
            processors,
            memory,
        };
        // A worker that is new counts from its start.
        let expected = [of(None, 0.1, 120.0), of(Some("etl"), 0.5, 64.0), of(Some("etl"), 0.1, 0.0)];
        assert_eq!(usage.processes, expected);
    }

    #[test]
    fn work_after_the_answer_has_no_rest() {
        let after = "krt_request_duration_seconds_sum 1\nkrt_handler_duration_seconds_sum{node=\"a\"} 5\n\
                     krt_handler_duration_seconds_count{node=\"a\"} 1\n";
        let usage = Metrics::parse(after).since(&Metrics::default(), Duration::from_secs(1));
        assert_eq!((usage.rest, usage.nodes[0].share), (None, 5.0));
    }

    #[test]
    fn lines_that_are_not_samples() {
        for line in ["", "x", "x y", "x{a=\"b\" 1", "# HELP x 1"] {
            assert_eq!(Metrics::parse(line).0, [], "{line}");
        }
        let both = sample("x_total{a=\"1\",b=\"two words\"} 3e2").unwrap();
        assert_eq!(
            both.labels.into_iter().collect::<Vec<_>>(),
            [("a", "1"), ("b", "two words")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(both.value, 300.0);
    }
}
