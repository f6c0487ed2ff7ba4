//! Samples that a worker handles before it gets messages: `warmup` in `krt.yml`.

use crate::{
    documents::saved,
    support::{Krt, actor, eventually, krt::write_package, processes},
};
use krt_store::{Order, PREDICTIONS, PointFilter};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use tempfile::TempDir;

const NODE: &str = "\
import os
import signal

from public_input_pb2 import Text

HANDLED = []


async def handler(ctx, data):
    text = Text()
    data.Unpack(text)
    HANDLED.append(text.text)
    ctx.logger.info('handles %s', text.text)
    ctx.measurement.save('handled', {'n': 1}, {})
    await ctx.prediction.save('a', 'b')
    await ctx.db.save('texts', {'text': text.text})
    if text.text == 'fail':
        raise ValueError('not that')
    if text.text == 'die':
        os.kill(os.getpid(), signal.SIGKILL)
    if text.text == 'none':
        return None
    if text.text == 'early':
        await ctx.early_reply(text)
        return None
    return Text(text=','.join(HANDLED))
";

const SAMPLES: &str = "src/actor/samples.jsonl";

fn package(keys: &str, node: &str, samples: &str) -> TempDir {
    let package = actor::with("warmup-v1", &format!("warmup: {SAMPLES}\n    {keys}"), node);
    fs::write(package.path().join(SAMPLES), samples).unwrap();
    package
}

#[tokio::test]
async fn each_worker_handles_the_samples_first_and_without_effects() {
    let samples =
        "{\"text\": \"one\"}\n\n{\"@type\": \"actor.Text\", \"text\": \"two\"}\n{\"text\": \"early\"}\n";
    let package = package("replicas: 1", NODE, samples);
    let service = Krt::run_at(package.path()).start().await;
    let hello = async || service.call("Act", json!({ "text": "hello" })).await.ok();
    assert_eq!(hello().await.unwrap()["text"], "one,two,early,hello");
    let [worker] = service.workers("actor")[..] else { panic!("one process runs the node") };
    processes::signal(worker, Signal::KILL);
    let again = eventually("a worker is up again", async || {
        hello()
            .await
            .filter(|answer| answer["text"] == "one,two,early,hello" && service.workers("actor") != [worker])
    });
    again.await;
    let ended = service.stop().await;

    let documents = saved(&ended, "texts").await;
    let calls = documents.len();
    assert!(documents.iter().all(|document| document.get_str("text").ok() == Some("hello")), "{documents:?}");
    assert_eq!(saved(&ended, PREDICTIONS).await.len(), calls);
    for measurement in ["handled", "node_elapsed_time"] {
        let filter = PointFilter { measurement: measurement.to_owned(), ..PointFilter::default() };
        assert_eq!(ended.reader().points(&filter, Order::OldestFirst, 1000).unwrap().len(), calls);
    }
    let records = ended.lines.records();
    let of_samples = records.iter().filter(|record| record.is("actor", "handles two"));
    let requests: Vec<_> =
        of_samples.map(|record| (record.workflow.as_deref(), record.request.as_deref())).collect();
    assert_eq!(requests, [(Some("act"), Some("warmup-3")); 2], "once for each worker");
}

#[tokio::test]
async fn a_sample_that_fails_fails_the_start() {
    let place = format!("line 2 of `{SAMPLES}`");
    let failed = format!("the sample in {place} failed: ");
    for (text, parts) in [
        ("fail", [&*failed, "not that"]),
        ("none", [&*failed, "the handler returned no message"]),
        ("die", ["killed by signal 9 (SIGKILL); it handled the sample in ", &*place]),
    ] {
        let package = package("", NODE, &format!("{{\"text\": \"one\"}}\n{{\"text\": \"{text}\"}}\n"));
        let ended = Krt::run_at(package.path()).spawn().end().await;
        let printed = ended.lines.text();
        assert_eq!(ended.code, Some(1), "{printed}");
        assert!(parts.iter().all(|part| printed.contains(part)), "{text}: {printed}");
    }
}

#[tokio::test]
async fn samples_of_a_batch_come_together() {
    let node = "\
from public_input_pb2 import Text

SIZES = []


def handler(ctx, data):
    SIZES.append(str(len(data)))
    return [Text(text=','.join(SIZES)) for _ in data]
";
    let package = package("batch: {max: 2}", node, &"{\"text\": \"one\"}\n".repeat(3));
    let service = Krt::run_at(package.path()).start().await;
    assert_eq!(service.call("Act", json!({ "text": "hello" })).await.unwrap()["text"], "2,1,1");
    service.stop().await;
}

#[tokio::test]
async fn samples_have_streams_plain_data_and_the_types_of_other_nodes() {
    let manifest = "\
version: warmup-v1
description: Two nodes.
entrypoint: {proto: public_input.proto}
nodes:
  - {name: plain, src: plain.py, payload: json, warmup: plain.jsonl}
  - {name: inner, src: inner.py, payload: json, warmup: inner.jsonl}
  - {name: last, src: last.py, warmup: last.jsonl}
workflows:
  - {name: count, entrypoint: Count, sequential: [plain, inner, last]}
";
    let proto = "\
syntax = \"proto3\";
package warmup;
service Entrypoint { rpc Count(Order) returns (stream Item); }
message Order { int64 count = 1; }
message Item { int64 number = 1; }
";
    let plain = "\
SEEN = []


def handler(ctx, data):
    SEEN.append(data['count'])
    return {'seen': SEEN}
";
    let last = "\
from google.protobuf.struct_pb2 import Struct
from public_input_pb2 import Item

SENT = []


async def handler(ctx, data):
    if data.Is(Item.DESCRIPTOR):
        for number in range(100):
            yield Item(number=number)
            SENT.append(number)
        return
    fields = Struct()
    data.Unpack(fields)
    yield Item(number=len(SENT))
    for number in fields['seen']:
        yield Item(number=int(number))
";
    let inner = plain
        .replace("data['count']", "data['seen'][0]")
        .replace("'seen': SEEN", "'seen': SEEN + data['seen']");
    let package = write_package(&[
        ("krt.yml", manifest),
        ("public_input.proto", proto),
        ("plain.py", plain),
        ("inner.py", &inner),
        ("last.py", last),
        ("plain.jsonl", "{\"count\": \"5\"}\n"),
        ("inner.jsonl", "{\"seen\": [9]}\n"),
        ("last.jsonl", "{\"@type\": \"type.googleapis.com/warmup.Item\"}\n"),
    ]);
    let service = Krt::run_at(package.path()).start().await;
    let answers = service.client().stream("Count", json!({ "count": "7" })).await.unwrap();
    let (messages, ended) = answers.rest().await;
    ended.unwrap();
    let numbers: Vec<_> = messages
        .iter()
        .map(|message| {
            message["number"].as_str().map_or_else(|| message["number"].to_string(), str::to_owned)
        })
        .collect();
    assert_eq!(numbers, ["100", "9", "5", "5", "7"]);
    service.stop().await;
}
