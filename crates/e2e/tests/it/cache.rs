//! Answers that are kept for equal requests: `cache` of a workflow in `krt.yml`.

use crate::support::{
    Krt, Service, actor, eventually,
    http::Http,
    krt::{command, write_package},
};
use bytes::Bytes;
use http::Method;
use krt_model::request::{Cached, Ending, RequestRecord};
use krt_store::{RequestFilter, RequestOrder};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tempfile::TempDir;
use tonic::{Code, Request, metadata::MetadataValue};

const PROTO: &str = "\
syntax = \"proto3\";
package actor;
service Entrypoint {
  rpc Act(Ask) returns (Text) { option idempotency_level = NO_SIDE_EFFECTS; }
}
message Ask {
  string text = 1;
  int32 size = 2;
  map<string, int32> numbers = 3;
}
message Text { string text = 1; }
";

/// Counts its runs. `wait` waits for the file `go`, `fail` fails until then.
const MAIN: &str = "\
import asyncio
import os
from pathlib import Path

from public_input_pb2 import Ask, Text

SCRATCH = Path(os.environ['E2E_SCRATCH'])
RUNS = 0


async def handler(ctx, data):
    global RUNS
    ask = Ask()
    data.Unpack(ask)
    RUNS += 1
    run = RUNS
    (SCRATCH / f'run-{run}').touch()
    if ask.text == 'wait':
        while not (SCRATCH / 'go').exists():
            await asyncio.sleep(0.01)
    if ask.text == 'fail' and not (SCRATCH / 'go').exists():
        raise ValueError('not yet')
    return Text(text=str(run) + 'x' * ask.size)
";

fn package(cache: &str) -> TempDir {
    let manifest = format!(
        "\
version: cache-v1
description: Counts its runs.
entrypoint: {{proto: public_input.proto}}
metadata: [x-tenant]
nodes:
  - {{name: actor, src: main.py, concurrency: 64}}
workflows:
  - {{name: act, entrypoint: Act, sequential: [actor], cache: {cache}}}
"
    );
    write_package(&[("krt.yml", &manifest), ("public_input.proto", PROTO), ("main.py", MAIN)])
}

async fn start(package: &TempDir) -> Service {
    Krt::run_at(package.path()).flag("--metrics", "127.0.0.1:0").start().await
}

fn run(answer: &Value) -> usize {
    answer["text"].as_str().unwrap().trim_end_matches('x').parse().unwrap()
}

async fn ask(service: &Service, request: Value) -> usize {
    run(&service.call("Act", request).await.unwrap())
}

async fn metric(service: &Service, name: &str) -> usize {
    let record = service.lines.wait("the page", |record| record.message.starts_with("metrics are at ")).await;
    let address = record.message.strip_prefix("metrics are at http://").unwrap();
    let client = Http::one(address.strip_suffix("/metrics").unwrap().parse().unwrap());
    let page = client.send(Method::GET, "/metrics", &[], "").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

async fn results(service: &Service) -> [usize; 3] {
    let of = async |result: &str| {
        metric(service, &format!("krt_cache_requests_total{{workflow=\"act\",result=\"{result}\"}}")).await
    };
    [of("hit").await, of("miss").await, of("shared").await]
}

fn records(data: &Path) -> Vec<RequestRecord> {
    let reader = krt_store::Reader::open(data).unwrap();
    reader.requests(&RequestFilter::default(), RequestOrder::Latest, 100).unwrap()
}

#[tokio::test]
async fn equal_requests_of_every_protocol_have_one_answer() {
    let package = package("{ttl: 1h}");
    let service = start(&package).await;
    assert_eq!(ask(&service, json!({"text": "a", "numbers": {"one": 1, "two": 2}})).await, 1);
    let http = service.http();
    let post = async |kind: &str, body: Bytes| {
        http.send(Method::POST, "/actor.Entrypoint/Act", &[("content-type", kind)], body).await
    };
    // In another order, and with a default.
    let text = r#"{"numbers": {"two": 2, "one": 1}, "size": 0, "text": "a"}"#;
    let reply = post("application/json", text.into()).await;
    assert_eq!((run(&reply.json()), reply.header("age"), reply.header("cache-control")), (1, "", ""));
    let proto: &[u8] = b"\x1a\x07\x0a\x03two\x10\x02\x1a\x07\x0a\x03one\x10\x01\x0a\x01a";
    assert_eq!(post("application/proto", proto.into()).await.body, &b"\x0a\x011"[..]);
    let query = "message=%7B%22text%22%3A%22a%22%2C%22numbers%22%3A%7B%22one%22%3A1%2C%22two%22%3A2%7D%7D";
    let path = format!("/actor.Entrypoint/Act?encoding=json&connect=v1&{query}");
    assert_eq!(run(&http.send(Method::GET, &path, &[], "").await.json()), 1);
    assert_eq!(ask(&service, json!({"text": "a"})).await, 2);
    assert_eq!(results(&service).await, [3, 2, 0]);
    assert_eq!(metric(&service, "krt_cache_entries{workflow=\"act\"}").await, 2);
    let exited = service.stop().await;
    let cached: Vec<_> = records(exited.data()).iter().map(|one| (one.cached, one.hops.len())).collect();
    let (own, hit) = ((None, 1), (Some(Cached::Hit), 0));
    assert_eq!(cached, [own, hit, hit, hit, own]);
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_only() {
    let package = package("{ttl: 200ms}");
    let service = start(&package).await;
    let first = ask(&service, json!({"text": "a"})).await;
    assert_eq!(first, 1);
    eventually("the handler runs again", async || {
        (ask(&service, json!({"text": "a"})).await == 2).then_some(())
    })
    .await;
    let [hits, misses, shared] = results(&service).await;
    assert_eq!((misses, shared), (2, 0), "{hits} hits");
    service.stop().await;
}

#[tokio::test]
async fn fifty_equal_requests_at_once_run_the_handler_once() {
    let package = package("{ttl: 1h}");
    let service = start(&package).await;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = service.client();
            tokio::spawn(async move { client.call("Act", json!({"text": "wait"})).await })
        })
        .collect();
    let in_flight = "krt_requests_in_flight";
    eventually("all wait", async || (metric(&service, in_flight).await == 50).then_some(())).await;
    std::fs::write(service.scratch.path().join("go"), "").unwrap();
    for call in calls {
        assert_eq!(run(&call.await.unwrap().unwrap()), 1);
    }
    assert_eq!(results(&service).await, [0, 1, 49]);
    let exited = service.stop().await;
    let records = records(exited.data());
    let shared = |one: &&RequestRecord| one.cached == Some(Cached::Shared) && one.hops.is_empty();
    assert_eq!((records.len(), records.iter().filter(shared).count()), (50, 49));
    assert!(records.iter().all(|one| one.ending == Ending::Answered));
}

#[tokio::test]
async fn a_request_that_waits_survives_the_one_that_runs() {
    let package = package("{ttl: 1h}");
    let service = start(&package).await;
    let call = || {
        let client = service.client();
        tokio::spawn(async move { client.call("Act", json!({"text": "wait"})).await })
    };
    let first = call();
    service.scratch.wait("run-1").await;
    let second = call();
    let in_flight = "krt_requests_in_flight";
    eventually("it waits", async || (metric(&service, in_flight).await == 2).then_some(())).await;
    // The deadline of one that waits is its own.
    let late = service.call_within(Duration::from_millis(50), "Act", json!({"text": "wait"})).await;
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    first.abort();
    service.scratch.wait("run-2").await;
    std::fs::write(service.scratch.path().join("go"), "").unwrap();
    assert_eq!(run(&second.await.unwrap().unwrap()), 2);
    assert_eq!(ask(&service, json!({"text": "wait"})).await, 2);
    let exited = service.stop().await;
    let mut endings: Vec<_> = records(exited.data()).iter().map(|one| one.ending.as_str()).collect();
    endings.sort_unstable();
    assert_eq!(endings, ["answered", "answered", "failed", "left"]);
}

#[tokio::test]
async fn failures_are_not_kept() {
    let package = package("{ttl: 1h}");
    let service = start(&package).await;
    let failed = service.call("Act", json!({"text": "fail"})).await.unwrap_err();
    assert_eq!((failed.code(), failed.message()), (Code::Internal, "error in 'actor': not yet"));
    std::fs::write(service.scratch.path().join("go"), "").unwrap();
    assert_eq!(ask(&service, json!({"text": "fail"})).await, 2);
    assert_eq!(ask(&service, json!({"text": "fail"})).await, 2);
    service.stop().await;
}

#[tokio::test]
async fn the_memory_is_bounded() {
    let package = package("{ttl: 1h, max: 64Ki}");
    let service = start(&package).await;
    for size in 0..20 {
        ask(&service, json!({"text": "a", "size": 10_000 + size})).await;
        let bytes = metric(&service, "krt_cache_bytes{workflow=\"act\"}").await;
        assert!((10_000..=64 << 10).contains(&bytes), "{bytes} bytes");
    }
    assert_eq!(metric(&service, "krt_cache_entries{workflow=\"act\"}").await, 6);
    assert_eq!(metric(&service, "krt_cache_evicted_total{workflow=\"act\"}").await, 14);
    assert_eq!(ask(&service, json!({"text": "a", "size": 10_019})).await, 20, "the last ones are kept");
    assert_eq!(ask(&service, json!({"text": "a", "size": 70_000})).await, 21);
    assert_eq!(ask(&service, json!({"text": "a", "size": 70_000})).await, 22, "it is too large");
    assert_eq!(ask(&service, json!({"text": "a", "size": 10_019})).await, 20, "and moves nothing out");
    service.stop().await;
}

#[tokio::test]
async fn requests_with_other_metadata_have_answers_of_their_own() {
    let package = package("{ttl: 1h}");
    let service = start(&package).await;
    let ask = async |name: &'static str, value: &str| {
        let mut request = Request::new(json!({"text": "a"}));
        request.metadata_mut().insert(name, MetadataValue::try_from(value).unwrap());
        run(&service.client().call_by("Act", request).await.unwrap())
    };
    assert_eq!(ask("x-tenant", "one").await, 1);
    assert_eq!(ask("x-tenant", "two").await, 2);
    assert_eq!(ask("x-tenant", "one").await, 1);
    // No handler sees this one.
    assert_eq!(ask("x-other", "one").await, 3);
    assert_eq!(ask("x-other", "two").await, 3);
    service.stop().await;
}

#[tokio::test]
async fn a_node_with_new_sources_answers_again() {
    let package = package("{ttl: 1h}");
    let service = Krt::run_at(package.path()).watch().start().await;
    assert_eq!(ask(&service, json!({"text": "a"})).await, 1);
    let main = package.path().join("main.py");
    std::fs::write(&main, MAIN.replace("RUNS = 0", "RUNS = 100")).unwrap();
    eventually("the new node answers", async || {
        let run = ask(&service, json!({"text": "a"})).await;
        assert!([1, 2, 101].contains(&run), "{run}");
        (run == 101).then_some(())
    })
    .await;
    service.stop().await;
}

#[test]
fn krt_check_refuses_other_rpcs() {
    let (unsafe_rpc, stream) = (
        PROTO.replace("{ option idempotency_level = NO_SIDE_EFFECTS; }", ";"),
        PROTO.replace("returns (Text)", "returns (stream Text)"),
    );
    for (proto, expected) in [
        (&*unsafe_rpc, "cannot be kept in a `cache`: it is not marked as free of side effects"),
        (&*stream, "cannot be kept in a `cache`: its answer is a stream"),
    ] {
        let package = package("{ttl: 1h}");
        std::fs::write(package.path().join("public_input.proto"), proto).unwrap();
        let output = command().arg("check").arg(package.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn without_the_key_each_request_runs() {
    let package = actor::package("");
    let service = Krt::run_at(package.path()).start().await;
    service.call("Act", json!({"text": "hello"})).await.unwrap();
    service.call("Act", json!({"text": "hello"})).await.unwrap();
    let exited = service.stop().await;
    assert!(records(exited.data()).iter().all(|one| one.cached.is_none() && one.hops.len() == 1));
}
