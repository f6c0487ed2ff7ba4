//! Workers that are replaced after a number of messages, or when they take too much memory: `recycle` in `krt.yml`.

use crate::support::{Krt, Service, actor};
use serde_json::json;
use std::collections::BTreeMap;
use tempfile::TempDir;

const NODE: &str = "\
import os

from public_input_pb2 import Text

LEAK = []


def handler(ctx, data):
    text = Text()
    data.Unpack(text)
    if text.text == \"leak\":
        LEAK.append(bytearray(b\"x\") * (4 << 20))
    return Text(text=str(os.getpid()))
";

fn package(keys: &str) -> TempDir {
    actor::with("recycle-v1", keys, NODE)
}

/// Calls from several clients until so many processes have answered. None may fail. Returns how many messages each
/// process has answered.
async fn calls(service: &Service, text: &'static str, processes: usize) -> BTreeMap<String, usize> {
    let mut answered = BTreeMap::new();
    while answered.len() < processes {
        let clients = (0..4).map(|_| {
            let client = service.client();
            tokio::spawn(async move { client.call("Act", json!({ "text": text })).await })
        });
        for call in clients.collect::<Vec<_>>() {
            let answer = call.await.unwrap().unwrap();
            *answered.entry(answer["text"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    answered
}

#[tokio::test]
async fn no_request_fails_when_workers_are_replaced_after_so_many() {
    let package = package("replicas: 2\n    recycle: {requests: 20}");
    let service = Krt::run_at(package.path()).start().await;
    let answered = calls(&service, "hello", 6).await;
    let used_up = answered.values().filter(|answered| **answered >= 20).count();
    assert!(used_up >= 4, "{answered:?}");
    let replaced = |message: &str| message.starts_with("replaced: it has answered ");
    service.lines.wait("a line about it", |record| replaced(&record.message)).await;
    service.stop().await;
}

#[tokio::test]
async fn no_request_fails_when_workers_are_replaced_for_their_memory() {
    let package = package("recycle: {memory: 100Mi}");
    let service = Krt::run_at(package.path()).start().await;
    let answered = calls(&service, "leak", 3).await;
    assert_eq!(answered.len(), 3, "{answered:?}");
    let replaced =
        |message: &str| message.starts_with("replaced: it takes ") && message.ends_with("Mi of memory");
    service.lines.wait("a line about it", |record| replaced(&record.message)).await;
    service.stop().await;
}

#[tokio::test]
async fn a_worker_that_starts_with_too_much_is_not_replaced_for_it() {
    let node = format!("{NODE}\n\nLEAK.append(bytearray(b\"x\") * (32 << 20))\n");
    let package = actor::with("recycle-v1", "recycle: {memory: 16Mi}", &node);
    let service = Krt::run_at(package.path()).start().await;
    let warning = "right after its start, more than `recycle.memory`: that does not replace it";
    service.lines.wait("a warning", |record| record.message.ends_with(warning)).await;
    let answered = calls(&service, "leak", 1).await;
    assert_eq!(calls(&service, "leak", 1).await.keys().next(), answered.keys().next());
    service.stop().await;
}
