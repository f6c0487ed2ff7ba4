//! What a package needs, as text for people and as JSON.

use crate::commands::bench::report::{aligned, mebibytes, ms, number};
use serde::Serialize;
use std::fmt::Write as _;

/// What a package needs for a load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    /// The full name of the RPC.
    pub(super) method: String,
    /// Requests a second.
    pub(super) rate: f64,
    /// The time within which 95 of 100 requests should be answered.
    pub(super) limit_ms: f64,
    /// Whether any number of replicas reaches that.
    pub(super) is_possible: bool,
    /// Measured requests.
    pub(super) samples: usize,
    pub(super) nodes: Vec<NodeNeeds>,
    /// The latencies to expect; without an answer, those of as many replicas as one likes.
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    /// The processors that all processes need, with the headroom that keeps them from waiting for each other.
    pub(super) processors: f64,
    /// The engine's memory, in bytes.
    pub(super) engine_memory: f64,
    /// The processors of this machine.
    pub(super) here: usize,
}

/// What a node needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct NodeNeeds {
    pub(super) node: String,
    /// The mean time for which a call takes a slot.
    pub(super) call_ms: f64,
    /// The mean processor time of a call.
    pub(super) processor_ms: f64,
    pub(super) concurrency: u16,
    /// `None` if no number is enough.
    pub(super) replicas: Option<usize>,
    /// As `krt.yml` has it.
    pub(super) replicas_now: u16,
    /// The memory of a replica, in bytes.
    pub(super) memory: f64,
}

impl Report {
    /// The memory of all processes, in bytes.
    fn memory(&self) -> f64 {
        let replicas = |node: &NodeNeeds| node.replicas.unwrap_or(1) as f64;
        self.engine_memory + self.nodes.iter().map(|node| replicas(node) * node.memory).sum::<f64>()
    }

    /// The machines like this one that have so many processors.
    fn machines(&self) -> f64 {
        (self.processors / self.here as f64).ceil().max(1.0)
    }

    /// The report for people, without the last line break.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{}, {} requests a second, 95 of 100 within {}\n",
            self.method,
            number(self.rate),
            ms(self.limit_ms)
        );
        let head = ["node", "a call takes", "processor", "concurrency", "replicas", "now", "memory"]
            .map(str::to_owned);
        let row = |node: &NodeNeeds| {
            [
                node.node.clone(),
                ms(node.call_ms),
                ms(node.processor_ms),
                node.concurrency.to_string(),
                node.replicas.map_or_else(|| "?".to_owned(), |replicas| replicas.to_string()),
                node.replicas_now.to_string(),
                mebibytes(node.memory),
            ]
        };
        let rows: Vec<_> = std::iter::once(head).chain(self.nodes.iter().map(row)).collect();
        for line in aligned(&rows) {
            let _ = write!(text, "\n  {line}");
        }
        let (p50, p95, p99) = (ms(self.p50_ms), ms(self.p95_ms), ms(self.p99_ms));
        if !self.is_possible {
            let _ = write!(
                text,
                "\n\nNo number of replicas is enough: with as many as are of use, 95 of 100 take up to {p95}."
            );
            return text;
        }
        let _ = write!(text, "\n\nExpect p50 {p50}, p95 {p95}, p99 {p99}.");
        let machines = self.machines();
        let _ = write!(
            text,
            "\nAll processes need {} processors and {}: {machines} {} like this one, with {} processors.",
            number(self.processors),
            mebibytes(self.memory()),
            if machines == 1.0 { "machine" } else { "machines" },
            self.here
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let node = |name: &str, replicas| NodeNeeds {
            node: name.to_owned(),
            call_ms: 12.3,
            processor_ms: 11.9,
            concurrency: 1,
            replicas,
            replicas_now: 1,
            memory: 48e6,
        };
        Report {
            method: "greeter.Entrypoint/Greet".to_owned(),
            rate: 200.0,
            limit_ms: 100.0,
            is_possible: true,
            samples: 800,
            nodes: vec![node("etl", Some(4)), node("model", Some(1))],
            p50_ms: 25.2,
            p95_ms: 62.0,
            p99_ms: 91.0,
            processors: 7.1,
            engine_memory: 20e6,
            here: 2,
        }
    }

    #[test]
    fn text_for_people() {
        insta::assert_snapshot!(report().text());
        let hopeless = Report { is_possible: false, p95_ms: 120.0, ..report() };
        let nodes = hopeless.nodes.iter().map(|node| NodeNeeds { replicas: None, ..node.clone() }).collect();
        insta::assert_snapshot!("without_an_answer", Report { nodes, ..hopeless }.text());
    }
}
