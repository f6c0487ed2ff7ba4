//! The number of messages that a node handles at once (docs/reference/krt-v1.md#nodes-in-python).

use crate::support::{Krt, Service};
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Makes concurrent calls of an RPC; returns the answers in order.
async fn crowd(service: &Service, rpc: &str, calls: i32) -> Vec<Value> {
    let call = |number| async move { service.call(rpc, json!({ "number": number })).await.unwrap() };
    let answers = join_all((1..=calls).map(call)).await;
    for (answer, number) in answers.iter().zip(1..) {
        assert_eq!(answer["number"], json!(number), "each answer is its own request's");
    }
    answers
}

#[tokio::test]
async fn concurrency_is_set_by_the_node() {
    let service = Krt::run("crowd").start().await;
    let answers = crowd(&service, "Many", 96).await;
    let most = answers.iter().map(|answer| answer["most"].as_i64().unwrap()).max();
    assert_eq!(most, Some(32), "the handlers let nobody through before 32 were there");
    service.stop().await;
}

#[tokio::test]
async fn one_at_a_time_by_default() {
    let service = Krt::run("crowd").start().await;
    for answer in crowd(&service, "One", 24).await {
        assert_eq!(answer["most"], 1);
    }
    service.stop().await;
}

#[tokio::test]
async fn replicas_work_side_by_side() {
    let service = Krt::run("crowd").start().await;
    let workers: BTreeSet<_> = service.workers("pair").into_iter().map(i64::from).collect();
    assert_eq!(workers.len(), 2);
    let answers = crowd(&service, "Pair", 2).await;
    let used: BTreeSet<_> = answers.iter().map(|answer| answer["process"].as_i64().unwrap()).collect();
    assert_eq!(used, workers);
    service.stop().await;
}

#[tokio::test]
async fn plain_functions_run_off_the_loop() {
    let service = Krt::run("crowd").start().await;
    for answer in crowd(&service, "Plain", 8).await {
        assert_eq!(answer["thread"], "other");
    }
    service.stop().await;
}
