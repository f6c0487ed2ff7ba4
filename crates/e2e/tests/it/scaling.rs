//! Workers whose number follows the load: `replicas: {min: …, max: …}` in `krt.yml`.

use crate::support::{
    Krt, Service, actor, assert_status, eventually,
    http::Http,
    krt::{refused, test_broker},
    runners::WireProtocol,
};
use http::Method;
use krt_servers::{NatsOptions, NatsServer};
use serde_json::json;
use std::{collections::BTreeSet, fs, time::Duration};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Code;

/// Starts only without a file `broken`, and once there is a file `go` if there is a file `slow`.
const NODE: &str = "\
import asyncio
import os
import time
from pathlib import Path

from public_input_pb2 import Text

SCRATCH = Path(os.environ['E2E_SCRATCH'])


def init(ctx):
    if (SCRATCH / 'broken').exists():
        raise ValueError('no model')
    while (SCRATCH / 'slow').exists() and not (SCRATCH / 'go').exists():
        time.sleep(0.01)


async def handler(ctx, data):
    text = Text()
    data.Unpack(text)
    await asyncio.sleep(0.03)
    return Text(text=str(os.getpid()))
";

fn package(replicas: &str) -> TempDir {
    actor::with("scaling-v1", &format!("replicas: {replicas}"), NODE)
}

/// Clients that send one request after another until they are dropped. None may fail.
struct Clients(JoinSet<()>);

impl Clients {
    fn start(service: &Service, number: usize) -> Self {
        let mut clients = JoinSet::new();
        for _ in 0..number {
            let client = service.client();
            clients.spawn(async move {
                loop {
                    client.call("Act", json!({"text": "x"})).await.unwrap();
                }
            });
        }
        Self(clients)
    }

    /// Waits for an event. A request that fails meanwhile fails the test.
    async fn until<T>(&mut self, event: impl Future<Output = T>) -> T {
        tokio::select! {
            happened = event => happened,
            Some(ended) = self.0.join_next() => panic!("a request failed: {ended:?}"),
        }
    }

    /// Takes away all but one of them, between two requests.
    async fn leave_one(self, service: &Service) -> Self {
        let one = Self::start(service, 1);
        drop(self);
        one
    }
}

async fn metric(service: &Service, name: &str) -> usize {
    let record = service.lines.wait("the page", |record| record.message.starts_with("metrics are at ")).await;
    let address = record.message.strip_prefix("metrics are at http://").unwrap();
    let client = Http::one(address.strip_suffix("/metrics").unwrap().parse().unwrap());
    let page = client.send(Method::GET, "/metrics", &[], "").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let name = format!("{name}{{node=\"actor\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

async fn workers(service: &Service, number: usize) {
    let what = format!("{number} workers are up");
    eventually(&what, async || (metric(service, "krt_workers").await == number).then_some(())).await;
}

async fn sleeps(service: &Service) {
    eventually("it sleeps", async || service.workers("actor").is_empty().then_some(())).await;
}

/// What the worker that answers is known by.
async fn pid(service: &Service) -> String {
    service.call("Act", json!({"text": "x"})).await.unwrap()["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn workers_come_with_the_load_and_go_without_it() {
    let package = package("{max: 3, idle: 1s}");
    let service = Krt::run_at(package.path()).flag("--metrics", "127.0.0.1:0").start().await;
    assert_eq!((service.workers("actor").len(), metric(&service, "krt_workers_wanted").await), (1, 1));
    let mut clients = Clients::start(&service, 12);
    clients.until(workers(&service, 3)).await;
    assert_eq!(metric(&service, "krt_workers_wanted").await, 3);
    let mut answered = BTreeSet::new();
    clients
        .until(async {
            while answered.len() < 3 {
                answered.insert(pid(&service).await);
            }
        })
        .await;
    let why = service.lines.wait("why", |record| record.message.contains(" workers instead of ")).await;
    assert!(why.message.contains("messages wait ") && why.message.contains("a call takes "), "{why:?}");
    // One client goes on, whose requests do not wait: two workers end between them.
    let mut one = clients.leave_one(&service).await;
    one.until(workers(&service, 1)).await;
    one.until(eventually("they end", async || (service.workers("actor").len() == 1).then_some(()))).await;
    let down = |message: &str| message.starts_with("1 worker instead of 2: fewer have sufficed for ");
    service.lines.wait("why", |record| down(&record.message)).await;
    drop(one);
    let records = service.stop().await.lines.records();
    assert!(records.iter().all(|record| record.level != "ERROR"), "{records:?}");
}

#[tokio::test]
async fn a_node_sleeps_and_wakes_with_a_request() {
    let package = package("{min: 0, max: 2, idle: 1s}");
    let service = Krt::run_at(package.path()).flag("--metrics", "127.0.0.1:0").start().await;
    let first = pid(&service).await;
    for _ in 0..2 {
        sleeps(&service).await;
        assert_eq!(metric(&service, "krt_workers_wanted").await, 0);
        assert_ne!(pid(&service).await, first);
    }
    let sleep = |message: &str| message.starts_with("sleeps: no message for ");
    service.lines.wait("why", |record| sleep(&record.message)).await;
    service.lines.wait("why", |record| record.message == "wakes: a message has arrived").await;
    let records = service.stop().await.lines.records();
    assert!(records.iter().all(|record| record.level != "ERROR"), "{records:?}");
}

#[tokio::test]
async fn requests_that_arrive_while_it_falls_asleep_are_answered() {
    let package = package("{min: 0, max: 1, idle: 1s}");
    let service = Krt::run_at(package.path()).start().await;
    let mut answered = BTreeSet::from([pid(&service).await]);
    // Just when it sleeps: sooner or later a request meets the worker that ends.
    while answered.len() < 4 {
        eventually("it is about to sleep", async || {
            let slept =
                service.lines.records().iter().filter(|record| record.message.starts_with("sleeps")).count();
            (slept >= answered.len()).then_some(())
        })
        .await;
        answered.insert(pid(&service).await);
    }
    service.stop().await;
}

#[tokio::test]
async fn a_request_that_wakes_a_node_keeps_its_deadline() {
    let package = package("{min: 0, max: 1, idle: 1s}");
    let service = Krt::run_at(package.path()).start().await;
    fs::write(service.scratch.path().join("slow"), "").unwrap();
    sleeps(&service).await;
    let late = service.call_within(Duration::from_millis(300), "Act", json!({"text": "x"})).await;
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    let client = service.client();
    let waits = tokio::spawn(async move { client.call("Act", json!({"text": "x"})).await });
    fs::write(service.scratch.path().join("go"), "").unwrap();
    waits.await.unwrap().unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_node_that_cannot_wake_says_why() {
    let package = package("{min: 0, max: 1, idle: 1s}");
    let service = Krt::run_at(package.path()).start().await;
    let broken = service.scratch.path().join("broken");
    fs::write(&broken, "").unwrap();
    sleeps(&service).await;
    let refused = service.call("Act", json!({"text": "x"})).await;
    if test_broker().is_some_and(|broker| broker.mode() == "jetstream") {
        // The message goes back to the server, and the node is started again and again.
        assert!(refused.is_err());
    } else {
        assert_status(refused, Code::Unavailable, "node 'actor' does not start: ValueError: no model");
    }
    fs::remove_file(broken).unwrap();
    eventually("it starts", async || service.call("Act", json!({"text": "x"})).await.ok()).await;
    service.stop().await;
}

#[tokio::test]
async fn there_are_no_more_workers_than_allowed() {
    let package = package("{max: 4, idle: 1s}");
    let run = Krt::run_at(package.path()).flag("--metrics", "127.0.0.1:0");
    let service = run.flag("--max-workers", "2").start().await;
    let mut clients = Clients::start(&service, 16);
    let refused = |message: &str| message.ends_with("workers, and --max-workers allows no more");
    clients.until(service.lines.wait("why", |record| refused(&record.message))).await;
    clients.until(workers(&service, 2)).await;
    assert_eq!(service.workers("actor").len(), 2);
    drop(clients);
    service.stop().await;
}

#[test]
fn a_version_that_starts_with_more_workers_than_allowed_does_not_start() {
    let package = package("3");
    let text = refused(&["run"], package.path(), &["--no-dashboard", "--max-workers", "2"]);
    assert!(text.contains("the nodes start with 3 workers, and --max-workers allows 2"), "{text}");
}

#[tokio::test]
async fn a_worker_more_that_cannot_start_leaves_the_others_alone() {
    let package = package("{max: 3, idle: 1s}");
    let service = Krt::run_at(package.path()).start().await;
    let broken = service.scratch.path().join("broken");
    fs::write(&broken, "").unwrap();
    let mut clients = Clients::start(&service, 12);
    let failed = |message: &str| message.starts_with("does not start: ") && message.contains("no model");
    clients.until(service.lines.wait("why", |record| failed(&record.message))).await;
    fs::remove_file(broken).unwrap();
    let more = eventually("others start", async || (service.workers("actor").len() == 3).then_some(()));
    clients.until(more).await;
    drop(clients);
    service.stop().await;
}

#[tokio::test]
async fn replaced_and_killed_workers_do_not_change_the_number() {
    let package = package("{min: 2, max: 3, idle: 1s}\n    recycle: {requests: 20}\n    retries: 3");
    let service = Krt::run_at(package.path()).flag("--metrics", "127.0.0.1:0").start().await;
    let mut clients = Clients::start(&service, 2);
    let replaced = |message: &str| message.starts_with("replaced: it has answered ");
    clients.until(service.lines.wait("a line", |record| replaced(&record.message))).await;
    let victim = service.workers("actor")[0];
    crate::support::processes::signal(victim, rustix::process::Signal::KILL);
    let up = |message: &str| message == "up again" || message.starts_with("replaced: ");
    clients.until(service.lines.wait("a line", |record| up(&record.message))).await;
    clients.until(workers(&service, 2)).await;
    drop(clients);
    service.stop().await;
}

#[tokio::test]
async fn a_node_that_sleeps_in_another_engine_wakes_with_a_message() {
    let Some(server) =
        NatsServer::start("sleeping nodes", NatsOptions { jetstream: true, ..NatsOptions::default() })
    else {
        return;
    };
    let package = package("{min: 0, max: 2, idle: 1s}");
    for protocol in [WireProtocol::Core, WireProtocol::JetStream] {
        let node = Krt::nodes(&["actor"], package.path()).nats(&server.url(), protocol).take().await;
        let service = Krt::entrypoint(package.path()).nats(&server.url(), protocol).start().await;
        // The entrypoint hears of the node within a moment.
        let call = async || service.call("Act", json!({"text": "x"})).await.ok();
        let first = eventually("the node answers", call).await["text"].as_str().unwrap().to_owned();
        eventually("it sleeps", async || node.workers("actor").is_empty().then_some(())).await;
        assert_ne!(pid(&service).await, first, "{protocol:?}");
        service.stop().await;
        node.stop().await;
    }
}

#[tokio::test]
async fn each_worker_that_comes_gets_a_gpu_of_its_own() {
    let node = NODE.replace("str(os.getpid())", "os.environ['CUDA_VISIBLE_DEVICES']");
    let package = actor::with("scaling-v1", "gpu: 1\n    replicas: {max: 3, idle: 1s}", &node);
    let service = Krt::run_at(package.path()).flag("--gpus", "4,7,9").start().await;
    let mut clients = Clients::start(&service, 12);
    let mut answered = BTreeSet::new();
    clients
        .until(async {
            while answered.len() < 3 {
                answered.insert(pid(&service).await);
            }
        })
        .await;
    assert_eq!(answered.into_iter().collect::<Vec<_>>(), ["4", "7", "9"]);
    drop(clients);
    service.stop().await;
}
