//! Measurements by user code, and automatic ones (docs/reference/krt-v1.md#measurements).

use crate::{
    script::{self, value},
    support::{Krt, service::Exited},
};
use krt_store::{Order, PointFilter, StoredPoint, Tags, Value};
use serde_json::json;
use std::collections::BTreeMap;

fn points(ended: &Exited, measurement: &str) -> Vec<StoredPoint> {
    let filter = PointFilter { measurement: measurement.to_owned(), ..PointFilter::default() };
    ended.reader().points(&filter, Order::OldestFirst, 1000).unwrap()
}

fn tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The start of a record about an invalid measurement.
const START: &str = "[ctx.measurement.save] measurement ";

const OWN_TAGS: [(&str, &str); 3] = [("version", "context-v1"), ("node", "first"), ("workflow", "alone")];

#[tokio::test]
async fn measurements_of_user_code_are_stored() {
    let service = Krt::run("context").start().await;
    service.call("Alone", json!({ "act": "measure" })).await.unwrap();
    let ended = service.stop().await;

    let kinds = points(&ended, "kinds");
    let [kind] = &kinds[..] else { panic!("{kinds:?}") };
    assert_eq!(*kind.tags, tags(&[&OWN_TAGS[..], &[("tag", "t")]].concat()));
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
    assert_eq!(*own[0].tags, tags(&OWN_TAGS), "the tags that are set for the user cannot be given");
}

#[tokio::test]
async fn invalid_measurements_are_logged_without_failure() {
    let service = Krt::run("context").start().await;
    service.call("Alone", json!({ "act": "measure" })).await.unwrap();
    let ended = service.stop().await;
    let partly = points(&ended, "partly");
    let fields: Vec<_> = partly.iter().flat_map(|point| point.fields.keys()).collect();
    assert_eq!(fields, ["good"]);
    assert!(points(&ended, "empty").is_empty());

    let records = ended.lines.records().into_iter();
    let warnings: Vec<_> = records.filter(|record| record.message.starts_with(START)).collect();
    let messages: Vec<_> = warnings.iter().map(|record| &record.message[START.len()..]).collect();
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

/// Asserts that the times of a node and of its workflow are consistent.
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

#[tokio::test]
async fn every_time_format_and_kind_of_value() {
    let init = "ctx.measurement.save('in init', {'n': 1}, {'workflow': 'mine', 'own': 'tag'})";
    let service = Krt::run("script").env("SCRIPT_INIT", init).start().await;
    let code = "
        save, seconds = ctx.measurement.save, ctx.measurement.PRECISION_S
        save('times', {'n': 0}, {}, '2023-11-14T22:13:20Z')
        save('times', {'n': 1}, {}, '2023-11-14T22:13:21')
        save('times', {'n': 2}, {}, '2023-11-15T00:13:22+02:00', seconds)
        save('times', {'n': 3}, {}, 1_700_000_003.0, seconds)
        save('times', {'n': 4}, {}, 1_700_000_004, precision='s')
        save('times', {'n': 5}, {}, datetime(2023, 11, 14, 22, 13, 25), seconds)
        save(measurement='kinds', fields={'a': 2**63 - 1, 'b': -0.5, 'c': False, 'd': '', 'é': 1}, tags=None)
        save('no tags', {'n': 1})
        save('tags', {'n': 1}, {'number': 1, 'yes': True})
        return [ctx.measurement.save('returned', {'n': 1}), ctx.measurement.PRECISION_NS]
    ";
    assert_eq!(value(&service, code).await, json!([null, "ns"]));
    let ended = service.stop().await;

    let times = points(&ended, "times").into_iter().map(|point| (point.time, point.fields["n"].clone()));
    let second = |n| 1_700_000_000_000_000_000 + n * 1_000_000_000;
    assert_eq!(times.collect::<Vec<_>>(), (0..6).map(|n| (second(n), Value::Int(n))).collect::<Vec<_>>());
    let kinds = points(&ended, "kinds").remove(0).fields;
    let expected = [
        ("a", Value::Int(i64::MAX)),
        ("b", Value::Float(-0.5)),
        ("c", Value::Bool(false)),
        ("d", Value::Text("".into())),
        ("é", Value::Int(1)),
    ];
    assert_eq!(kinds, expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let own = [("version", "script-v1"), ("node", "first"), ("workflow", "one")];
    assert_eq!(*points(&ended, "no tags")[0].tags, tags(&own));
    let texts = [&own[..], &[("number", "1"), ("yes", "True")]].concat();
    assert_eq!(*points(&ended, "tags")[0].tags, tags(&texts));

    let starts = points(&ended, "in init");
    assert_eq!(starts.len(), 2, "each node has its own init");
    for node in ["first", "last"] {
        let own = tags(&[("version", "script-v1"), ("node", node), ("own", "tag")]);
        assert!(starts.iter().any(|point| *point.tags == own), "{starts:?}");
    }
}

#[tokio::test]
async fn the_default_time_is_now() {
    let service = script::start().await;
    let now = || i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
    let before = now();
    value(&service, "ctx.measurement.save('m', {'n': 1}); return 0").await;
    let after = now();
    let ended = service.stop().await;
    let time = points(&ended, "m")[0].time;
    assert!((before..=after).contains(&time), "{before} {time} {after}");
}

#[tokio::test]
async fn invalid_values_are_logged_with_their_field() {
    let service = script::start().await;
    let left = |field: &str, reason: &str| format!("`m`: its field `{field}` is left out: {reason}");
    let lost = |reason: &str| format!("`m`: it is not saved: {reason}");
    let no_value = |shown: &str, kind: &str| {
        left("f", &format!("it is {shown}, a `{kind}`, not a text, a number or a boolean"))
    };
    let years = "is not between the years 1970 and 2262";
    let rows = [
        ("'m', {'n': 1, 'f': float('inf')}", left("f", "it is inf")),
        ("'m', {'n': 1, 'f': -float('nan')}", left("f", "it is nan")),
        ("'m', {'n': 1, 'f': 2**63}", left("f", "it is an integer of more than 64 bits")),
        ("'m', {'n': 1, 'f': None}", no_value("None", "NoneType")),
        ("'m', {'n': 1, 'f': [1]}", no_value("[1]", "list")),
        ("'m', {'n': 1, 'f': b'x'}", no_value("b'x'", "bytes")),
        ("'m', {'n': 1, '': 1}", left("", "its name must be a nonempty text")),
        ("'m', {'n': 1, 7: 1}", left("7", "its name must be a nonempty text")),
        (
            "'m', {'n': 1}, {'': 'x'}",
            "`m`: its tag `` is left out: its name must be a nonempty text".to_owned(),
        ),
        ("'m', {'n': 1}, ['x']", "`m`: its tags are left out: ['x'] is no dict".to_owned()),
        ("'', {'n': 1}", "``: it is not saved: its name must be a nonempty text".to_owned()),
        ("7, {'n': 1}", "`7`: it is not saved: its name must be a nonempty text".to_owned()),
        ("'m', None", lost("its fields are None, which is no dict")),
        ("'m', [1]", lost("its fields are [1], which is no dict")),
        ("'m', {}", lost("it has no field left")),
        ("'m', {'n': 1}, {}, 'soon'", lost("`soon` is no ISO 8601 date, such as 2024-01-31T12:00:00Z")),
        ("'m', {'n': 1}, {}, {}", lost("its time is {}, not a number, a datetime or an ISO 8601 text")),
        ("'m', {'n': 1}, {}, -1", lost(&format!("its time, -1, {years}"))),
        ("'m', {'n': 1}, {}, 2**63", lost(&format!("its time, 9223372036854775808, {years}"))),
        ("'m', {'n': 1}, {}, datetime(2300, 1, 1)", lost(&format!("its time, 2300-01-01 00:00:00, {years}"))),
        ("'m', {'n': 1}, {}, 1, 'h'", lost("its precision is 'h', not one of s, ms, us, ns")),
        ("'m', {'n': 1}, {}, 1, None", lost("its precision is None, not one of s, ms, us, ns")),
        ("'m', {'n': 1}, {}, 1, []", lost("its precision is [], not one of s, ms, us, ns")),
    ];
    for (arguments, _) in &rows {
        assert_eq!(
            value(&service, &format!("return [ctx.measurement.save({arguments})]")).await,
            json!([null])
        );
    }
    let ended = service.stop().await;
    let records = ended.lines.records().into_iter();
    let logged: Vec<_> = records
        .filter_map(|record| Some((record.level, record.message.strip_prefix(START)?.to_owned())))
        .collect();
    let expected: Vec<_> = rows.into_iter().map(|(_, message)| ("WARN".to_owned(), message)).collect();
    assert_eq!(logged, expected);
    let saved: Vec<_> = points(&ended, "m").iter().map(|point| point.fields.len()).collect();
    assert_eq!(saved, [1; 10], "what is good of each is kept");
}

#[tokio::test]
async fn background_work_and_nodes_used_twice_are_measured() {
    let service = script::start().await;
    let reply = "await ctx.early_reply(messages.Note(text='early'))\nreturn 1";
    script::send(&service, "Two", &[reply, "return None"]).await.unwrap();
    script::send(&service, "Two", &[reply, "raise ValueError"]).await.unwrap();
    script::send(&service, "Twice", &["return 1", "return 2"]).await.unwrap();
    let ended = service.stop().await;
    let of = |node: &str, from: &str, workflow: &str| {
        let nodes = points(&ended, "node_elapsed_time").into_iter();
        let own = tags(&[("workflow", workflow), ("version", "script-v1"), ("node", node)]);
        nodes
            .filter(|point| *point.tags == own && point.fields["node_from"] == Value::Text(from.into()))
            .count()
    };
    let found = [
        of("first", "entrypoint", "two"),
        of("last", "first", "two"),
        of("last", "entrypoint", "twice"),
        of("last", "last", "twice"),
    ];
    assert_eq!(found, [2, 1, 1, 1]);
    let workflows = points(&ended, "workflow_elapsed_time");
    let count = |name: &str| workflows.iter().filter(|point| point.tags["workflow"] == name).count();
    assert_eq!((count("two"), count("twice"), workflows.len()), (1, 1, 2));
    let requests: std::collections::BTreeSet<_> =
        workflows.iter().map(|point| format!("{:?}", point.fields["tracking_id"])).collect();
    assert_eq!(requests.len(), 2, "each request has a tracking id of its own");
}
