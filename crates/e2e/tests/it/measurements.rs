//! Measurements: of user code, and those that are taken without being asked for (KRT v1, "Context").

use crate::support::{Krt, service::Ended};
use krt_store::{Order, PointFilter, StoredPoint, Tags, Value};
use serde_json::json;
use std::collections::BTreeMap;

fn points(ended: &Ended, measurement: &str) -> Vec<StoredPoint> {
    let filter = PointFilter { measurement: measurement.to_owned(), ..PointFilter::default() };
    ended.reader().points(&filter, Order::OldestFirst, 1000).unwrap()
}

fn tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const OWN: [(&str, &str); 3] = [("version", "context-v1"), ("node", "first"), ("workflow", "alone")];

#[tokio::test]
async fn what_user_code_measures_is_stored() {
    let service = Krt::run("context").start().await;
    service.call("Alone", json!({ "act": "measure" })).await.unwrap();
    let ended = service.stop().await;

    let kinds = points(&ended, "kinds");
    let [kind] = &kinds[..] else { panic!("{kinds:?}") };
    assert_eq!(*kind.tags, tags(&[&OWN[..], &[("tag", "t")]].concat()));
    let fields = BTreeMap::from([
        ("text".to_owned(), Value::Text("a".into())),
        ("whole".to_owned(), Value::Int(1)),
        ("real".to_owned(), Value::Float(1.5)),
        ("yes".to_owned(), Value::Bool(true)),
    ]);
    assert_eq!(kind.fields, fields);

    let times: Vec<_> =
        points(&ended, "times").into_iter().map(|point| (point.time, point.fields["n"].clone())).collect();
    let second = |n| 1_700_000_000_000_000_000 + n * 1_000_000_000;
    let expected: Vec<_> = (0..6).map(|n| (second(n), Value::Int(n + 1))).collect();
    assert_eq!(times, expected);

    let own = points(&ended, "own tags");
    assert_eq!(*own[0].tags, tags(&OWN), "the tags that are set for the user cannot be given");
}

#[tokio::test]
async fn what_is_wrong_with_a_measurement_is_logged_and_fails_nothing() {
    let service = Krt::run("context").start().await;
    service.call("Alone", json!({ "act": "measure" })).await.unwrap();
    let ended = service.stop().await;
    let partly = points(&ended, "partly");
    let fields: Vec<_> = partly.iter().flat_map(|point| point.fields.keys()).collect();
    assert_eq!(fields, ["good"]);
    assert!(points(&ended, "empty").is_empty());

    let start = "[ctx.measurement.save] measurement ";
    let records = ended.lines.records().into_iter();
    let warnings: Vec<_> = records.filter(|record| record.message.starts_with(start)).collect();
    let messages: Vec<_> = warnings.iter().map(|record| &record.message[start.len()..]).collect();
    assert_eq!(
        messages,
        [
            "`partly`: its field `dict` is left out: it is {}, a `dict`, not a text, a number or a boolean",
            "`partly`: its field `nan` is left out: it is nan",
            "``: it is not saved: its name must be a nonempty text",
            "`empty`: it is not saved: it has no field left",
        ]
    );
    assert!(warnings.iter().all(|record| record.level == "WARN" && record.request.is_some()));
}

#[tokio::test]
async fn nodes_and_workflows_are_measured_on_success() {
    let service = Krt::run("context").start().await;
    service.call("Act", json!({ "act": "plain" })).await.unwrap();
    service.call("Act", json!({ "act": "exit" })).await.unwrap();
    service.call("Act", json!({ "act": "fail" })).await.unwrap_err();
    service.call("Act", json!({ "act": "plain", "then": "fail" })).await.unwrap_err();
    let ended = service.stop().await;

    let nodes = points(&ended, "node_elapsed_time");
    let of = |node: &str| tags(&[("workflow", "act"), ("version", "context-v1"), ("node", node)]);
    let first: Vec<_> = nodes.iter().filter(|point| *point.tags == of("first")).collect();
    let last: Vec<_> = nodes.iter().filter(|point| *point.tags == of("last")).collect();
    assert_eq!((nodes.len(), first.len(), last.len()), (4, 3, 1), "what failed is not measured: {nodes:?}");
    assert_eq!(first[0].fields["node_from"], Value::Text("entrypoint".into()));
    assert_eq!(last[0].fields["node_from"], Value::Text("first".into()));

    let workflows = points(&ended, "workflow_elapsed_time");
    assert_eq!(workflows.len(), 2);
    for workflow in &workflows {
        assert_eq!(*workflow.tags, tags(&[("workflow", "act"), ("version", "context-v1")]));
        let names: Vec<_> = workflow.fields.keys().collect();
        assert_eq!(names, ["elapsed_ms", "tracking_id"]);
    }
    assert_times(last[0], &workflows[0]);
}

/// Asserts that the times of a node and of its workflow fit together.
fn assert_times(node: &StoredPoint, workflow: &StoredPoint) {
    let names: Vec<_> = node.fields.keys().collect();
    assert_eq!(names, ["elapsed_ms", "node_from", "tracking_id", "waiting_ms"]);
    assert_eq!(node.fields["tracking_id"], workflow.fields["tracking_id"]);
    let number = |point: &StoredPoint, name| match point.fields[name] {
        Value::Float(number) => number,
        ref other => panic!("{name} is {other:?}"),
    };
    let (elapsed, waiting) = (number(node, "elapsed_ms"), number(node, "waiting_ms"));
    let total = number(workflow, "elapsed_ms");
    assert!(elapsed > 0.0 && waiting >= 0.0 && total >= elapsed + waiting, "{node:?} {workflow:?}");
}
