//! The automatic measurements (docs/reference/krt-v1.md#measurements).

use super::{Delivery, HandlerTimes};
use krt_model::{message::Timestamp, version::Version};
use krt_store::{Series, Store, Value};

const NODE: &str = "node_elapsed_time";
const WORKFLOW: &str = "workflow_elapsed_time";

/// `node_elapsed_time` and `workflow_elapsed_time`, with their tags prepared.
#[derive(Debug)]
pub(super) struct Elapsed {
    workflows: Vec<Series>,
    /// By workflow, then by position in its sequence.
    nodes: Vec<Vec<Series>>,
}

impl Elapsed {
    pub(super) fn new(version: &Version, store: &Store) -> Self {
        let name = version.name.as_str();
        let series = |measurement, tags: &[(&str, &str)]| {
            store.series(measurement, tags).expect("names of a version are short texts")
        };
        let workflows = version
            .workflows
            .iter()
            .map(|workflow| series(WORKFLOW, &[("workflow", workflow.name.as_str()), ("version", name)]));
        let nodes = version.workflows.iter().map(|workflow| {
            let node = |&node: &usize| {
                let node = version.nodes[node].name.as_str();
                series(NODE, &[("workflow", workflow.name.as_str()), ("version", name), ("node", node)])
            };
            workflow.sequence.iter().map(node).collect()
        });
        Self { workflows: workflows.collect(), nodes: nodes.collect() }
    }

    /// Records the time of a handler that succeeded.
    pub(super) fn node(&self, delivery: &Delivery, handled: HandlerTimes) {
        let Some(previous) = delivery.tracking.last() else { return };
        let fields = [
            ("tracking_id", Value::from(&*delivery.request.id)),
            ("node_from", Value::from(previous.name())),
            ("elapsed_ms", Value::Float(handled.end.millis_since(handled.start))),
            ("waiting_ms", Value::Float(handled.start.millis_since(previous.end))),
        ];
        add(&self.nodes[delivery.request.route.index][delivery.position], handled.end, &fields);
    }

    /// Records the time of a workflow that succeeded.
    pub(super) fn workflow(&self, delivery: &Delivery, end: Timestamp) {
        let fields = [
            ("tracking_id", Value::from(&*delivery.request.id)),
            ("elapsed_ms", Value::Float(end.millis_since(delivery.request.start))),
        ];
        add(&self.workflows[delivery.request.route.index], end, &fields);
    }
}

fn add(series: &Series, moment: Timestamp, fields: &[(&str, Value<'_>)]) {
    let time = i64::try_from(moment.0).unwrap_or(i64::MAX);
    series.point(time, fields).expect("numbers and short texts can be stored");
}
