//! Early reply, early exit, and `None` (KRT v1, "Context").

use crate::support::{Krt, Service, assert_status};
use serde_json::{Value, json};
use tonic::Code;

fn act(act: &str) -> Value {
    json!({ "act": act })
}

/// Whether the last node has run at all.
fn last_ran(service: &Service) -> bool {
    service.scratch.path().join("last ran").exists()
}

/// Waits for the record that the last node's result was dropped.
async fn dropped(service: &Service, node: &str) {
    let message = "the result is dropped: the request was replied to before";
    let record = service.lines.wait("a dropped result", |record| record.is(node, message)).await;
    assert_eq!(record.level, "INFO");
    assert!(record.workflow.is_some() && record.request.is_some(), "{record:?}");
}

#[tokio::test]
async fn an_early_reply_answers_before_the_rest_has_run() {
    let service = Krt::run("context").flag("--log-level", "debug").start().await;
    let answer = service.call("Act", act("reply")).await.unwrap();
    assert_eq!(answer, json!({ "text": "early" }));
    assert!(!last_ran(&service), "the handler of the first node still waits");
    service.scratch.put("go");
    service.scratch.wait("last ran").await;
    dropped(&service, "last").await;
    service.stop().await;
}

#[tokio::test]
async fn reply_is_its_old_name() {
    let service = Krt::run("context").flag("--log-level", "debug").start().await;
    let answer = service.call("Act", act("old_reply")).await.unwrap();
    assert_eq!(answer, json!({ "text": "early, by its old name" }));
    dropped(&service, "last").await;
    service.stop().await;
}

#[tokio::test]
async fn a_second_early_reply_fails() {
    let service = Krt::run("context").flag("--log-level", "debug").start().await;
    assert_eq!(service.call("Act", act("reply_twice")).await.unwrap(), json!({ "text": "once" }));
    service.scratch.wait("second reply").await;
    dropped(&service, "last").await;
    let error = std::fs::read_to_string(service.scratch.path().join("second reply")).unwrap();
    assert_eq!(error, "error the message was replied previously");
    service.stop().await;
}

#[tokio::test]
async fn a_second_early_reply_of_a_later_node_fails_in_the_background() {
    let service = Krt::run("context").start().await;
    let request = json!({ "act": "old_reply", "then": "reply" });
    assert_eq!(service.call("Act", request).await.unwrap()["text"], "early, by its old name");
    let words = "error in 'last': error the message was replied previously";
    failed_in_background(&service, "last", words).await;
    service.stop().await;
}

#[tokio::test]
async fn what_fails_after_an_early_reply_is_logged() {
    let service = Krt::run("context").start().await;
    assert_eq!(service.call("Act", act("reply_and_fail")).await.unwrap()["text"], "early");
    failed_in_background(&service, "first", "error in 'first': after the answer").await;
    let request = json!({ "act": "old_reply", "then": "fail" });
    service.call("Act", request).await.unwrap();
    failed_in_background(&service, "last", "error in 'last': in the background").await;
    service.stop().await;
}

async fn failed_in_background(service: &Service, node: &str, words: &str) {
    let message = format!("the workflow failed after its early reply: {words}");
    let what = "a failure in the background";
    let record = service.lines.wait(what, |record| record.is(node, &message)).await;
    assert_eq!((&*record.level, record.workflow.as_deref(), record.message), ("ERROR", Some("act"), message));
    assert!(record.request.is_some());
}

#[tokio::test]
async fn an_early_reply_of_another_type_is_refused() {
    let service = Krt::run("context").start().await;
    let message = "node 'first' answered with a context.Order, but the RPC returns context.Answer";
    assert_status(service.call("Act", act("reply_wrong")).await, Code::Internal, message);
    service.stop().await;
}

#[tokio::test]
async fn an_early_exit_ends_this_request_only() {
    let service = Krt::run("context").start().await;
    for way in ["exit", "exit_by_other_name"] {
        let answer = service.call("Act", act(way)).await.unwrap();
        assert_eq!(answer, json!({ "text": "out", "trail": ["first"] }), "{way}");
    }
    assert!(!last_ran(&service));
    let next = service.call("Act", json!({ "act": "plain", "text": "on" })).await.unwrap();
    assert_eq!(next, json!({ "text": "on", "trail": ["first", "last"] }));
    service.stop().await;
}

#[tokio::test]
async fn an_early_reply_and_an_early_exit_together() {
    let service = Krt::run("context").flag("--log-level", "debug").start().await;
    assert_eq!(service.call("Act", act("reply_and_exit")).await.unwrap(), json!({ "text": "early" }));
    dropped(&service, "first").await;
    assert!(!last_ran(&service));
    service.stop().await;
}

#[tokio::test]
async fn none_is_an_error_unless_the_last_node_follows_an_early_reply() {
    let service = Krt::run("context").start().await;
    let nothing = "the handler returned no message";
    for rpc in ["Alone", "Act"] {
        let answer = service.call(rpc, json!({ "act": "plain", "text": "none" })).await;
        assert_status(answer, Code::Internal, &format!("error in 'first': {nothing}"));
    }
    let last = service.call("Act", json!({ "act": "plain", "then": "none" })).await;
    assert_status(last, Code::Internal, &format!("error in 'last': {nothing}"));

    let replied = json!({ "act": "old_reply", "text": "none" });
    service.call("Act", replied.clone()).await.unwrap();
    failed_in_background(&service, "first", &format!("error in 'first': {nothing}")).await;
    service.call("Alone", replied).await.unwrap();
    service.call("Act", json!({ "act": "old_reply", "then": "none" })).await.unwrap();
    let ended = service.stop().await;
    let failed = ended.lines.records().into_iter().filter(|record| record.message.contains("early reply"));
    assert_eq!(failed.count(), 1, "{}", ended.lines.text());
}
