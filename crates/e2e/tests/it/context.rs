//! The values, paths and loggers of a context (docs/reference/krt-v1.md#context), and how workflows share nodes.

use crate::support::{Krt, Service, assert_status, krt::packages};
use serde_json::{Value, json};
use tonic::Code;

/// Calls an act of the first node, the only one of the workflow, and returns its text.
pub(crate) async fn text(service: &Service, act: &str) -> String {
    let answer = service.call("Alone", json!({ "act": act })).await.unwrap();
    answer["text"].as_str().unwrap_or_default().to_owned()
}

/// Like [`text`], for a text that is JSON.
pub(crate) async fn value(service: &Service, act: &str) -> Value {
    serde_json::from_str(&text(service, act).await).unwrap()
}

#[tokio::test]
async fn values_are_shared_by_init_and_every_handler_call() {
    let service = Krt::run("context").start().await;
    let in_init = "[ctx.early_reply] there is no request in `init`; hint: call it in `handler`";
    assert_eq!(value(&service, "values").await, json!([41, { "any": "object" }, in_init]));
    assert_eq!(text(&service, "calls").await, "2");
    assert_eq!(text(&service, "calls").await, "3");
    service.stop().await;
}

#[tokio::test]
async fn missing_values_are_attribute_errors() {
    let service = Krt::run("context").start().await;
    let missing = service.call("Alone", json!({ "act": "missing" })).await;
    let message = "error in 'first': no value is kept for `nowhere`; kept: `from init`, `calls`, `early reply in \
                   init`; hint: call ctx.set('nowhere', …) in init";
    assert_status(missing, Code::Internal, message);
    let kind = std::fs::read_to_string(service.scratch.path().join("kind")).unwrap();
    assert_eq!(kind, "AttributeError");
    service.stop().await;
}

#[tokio::test]
async fn paths_are_below_the_package() {
    let service = Krt::run("context").start().await;
    let root = packages().join("context").canonicalize().unwrap();
    let root = root.to_str().unwrap();
    let expected = json!([format!("{root}/models/a.bin"), "/absolute", root]);
    assert_eq!(value(&service, "path").await, expected);
    service.stop().await;
}

#[tokio::test]
async fn the_logger_is_a_python_logger() {
    for (level, number) in [("debug", 10), ("info", 20)] {
        let service = Krt::run("context").flag("--log-level", level).start().await;
        assert_eq!(value(&service, "logger").await, json!([true, number]), "{level}");
        service.stop().await;
    }
}

#[tokio::test]
async fn a_node_may_be_in_two_workflows_and_twice_in_one() {
    let service = Krt::run("context").start().await;
    let request = json!({ "act": "plain", "text": "x" });
    assert_eq!(service.call("Act", request.clone()).await.unwrap()["trail"], json!(["first", "last"]));
    assert_eq!(service.call("Alone", request).await.unwrap()["trail"], json!(["first"]));
    let twice = service.call("Twice", json!({ "text": "x" })).await.unwrap();
    assert_eq!(twice["trail"], json!(["last", "last"]));
    service.stop().await;
}
