//! Requests that wait in the order of their priorities: `priority` of a workflow in `krt.yml`.

use crate::support::{Krt, Service, assert_status, eventually, http::Http, krt::write_package};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{Code, Request, metadata::MetadataValue};

const MAIN: &str = "\
import asyncio
import os
from pathlib import Path

from public_input_pb2 import Text

SCRATCH = Path(os.environ['E2E_SCRATCH'])
HANDLED = []


async def handler(ctx, data):
    text = Text()
    data.Unpack(text)
    HANDLED.append(text.text)
    if text.text == 'first':
        (SCRATCH / f'begun-{len(HANDLED)}').touch()
        while not (SCRATCH / 'go').exists():
            await asyncio.sleep(0.01)
    return Text(text=','.join(HANDLED))
";

fn package(concurrency: usize, priority: &str) -> TempDir {
    let manifest = format!(
        "\
version: priority-v1
description: Tells what it has handled.
entrypoint: {{proto: public_input.proto}}
nodes:
  - {{name: actor, src: main.py, concurrency: {concurrency}}}
workflows:
  - {{name: act, entrypoint: Act, sequential: [actor]{priority}}}
"
    );
    let proto = "\
syntax = \"proto3\";
package actor;
service Entrypoint { rpc Act(Text) returns (Text); }
message Text { string text = 1; }
";
    write_package(&[("krt.yml", &manifest), ("public_input.proto", proto), ("main.py", MAIN)])
}

fn request(text: &str, priority: &str) -> Request<Value> {
    let mut request = Request::new(json!({ "text": text }));
    if !priority.is_empty() {
        request.metadata_mut().insert("krt-priority", MetadataValue::try_from(priority).unwrap());
    }
    request
}

/// The number of messages that wait for a worker.
async fn depth(service: &Service) -> usize {
    let record = service.lines.wait("the page", |record| record.message.starts_with("metrics are at ")).await;
    let address = record.message.strip_prefix("metrics are at http://").unwrap();
    let client = Http::one(address.strip_suffix("/metrics").unwrap().parse().unwrap());
    let page = client.send(Method::GET, "/metrics", &[], "").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("krt_queue_depth{node=\"actor\"} ")).unwrap();
    line.parse::<f64>().unwrap() as usize
}

/// Sends requests while the only worker is busy, one after another. Returns the order in which they are handled.
async fn order(concurrency: usize, priority: &str, requests: &[(&'static str, &'static str)]) -> String {
    let package = package(concurrency, priority);
    let service = Krt::run_at(package.path()).flag("--metrics", "127.0.0.1:0").start().await;
    let call = |text: &'static str, priority: &'static str| {
        let client = service.client();
        tokio::spawn(async move { client.call_by("Act", request(text, priority)).await.unwrap() })
    };
    let mut calls = Vec::new();
    for busy in 1..=concurrency {
        calls.push(call("first", ""));
        service.scratch.wait(&format!("begun-{busy}")).await;
    }
    for (count, (text, priority)) in requests.iter().enumerate() {
        calls.push(call(text, priority));
        eventually("it waits", async || (depth(&service).await == count + 1).then_some(())).await;
    }
    std::fs::write(service.scratch.path().join("go"), "").unwrap();
    let mut handled = String::new();
    for call in calls {
        let answer = call.await.unwrap()["text"].as_str().unwrap().to_owned();
        handled = if answer.len() > handled.len() { answer } else { handled };
    }
    service.stop().await;
    handled
}

#[tokio::test]
async fn requests_of_high_priority_overtake_those_that_wait() {
    let requests = [
        ("low", "-5"),
        ("normal", ""),
        ("high", "10"),
        ("equal", "0"),
        ("also low", "-5"),
        ("also high", "10"),
    ];
    let handled = order(1, ", priority: true", &requests).await;
    assert_eq!(handled, "first,high,also high,normal,equal,low,also low");
}

#[tokio::test]
async fn without_the_key_the_header_means_nothing() {
    // A worker with more than one place gets nothing ahead, so that requests wait in the queue.
    let handled = order(2, "", &[("low", "-5"), ("high", "10"), ("odd", "urgent")]).await;
    assert_eq!(handled, "first,first,low,high,odd");
}

#[tokio::test]
async fn wrong_priorities_are_refused() {
    let package = package(1, ", priority: true");
    let service = Krt::run_at(package.path()).start().await;
    for priority in ["11", "high"] {
        let refused = service.client().call_by("Act", request("a", priority)).await;
        let message = "`krt-priority` must be a whole number from -10 to 10";
        assert_status(refused, Code::InvalidArgument, message);
    }
    service.stop().await;
}
