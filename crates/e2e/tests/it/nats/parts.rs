//! The parts of a version: several instances of each, and their view of one another and of the server.

use super::{package, server};
use crate::support::{Krt, Service, assert_status, eventually, runners::WireProtocol};
use futures::future::join_all;
use krt_servers::{NatsOptions, NatsServer};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const PROTOCOLS: [WireProtocol; 2] = [WireProtocol::Core, WireProtocol::JetStream];

async fn act(ingress: &Service, text: &str) -> Result<Value, Status> {
    ingress.call("Act", json!({ "text": text, "act": "" })).await
}

async fn becomes(ingress: &Service, expected: ServingStatus) {
    let (transport, origin) = ingress.client().transport();
    let mut health = HealthClient::with_origin(transport, origin);
    eventually(&format!("health is {expected:?}"), async || {
        let answer = health.check(HealthCheckRequest { service: String::new() }).await.unwrap();
        (answer.into_inner().status() == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn replicated_parts_serve_their_own_clients_and_may_stop() {
    for protocol in PROTOCOLS {
        let Some(server) = server("replicated_parts_serve_their_own_clients_and_may_stop") else {
            return;
        };
        let (package, url) = (package(&[]), server.url());
        let nodes = || Krt::nodes(&["one", "two", "three"], package.path()).nats(&url, protocol).take();
        let ingress = || Krt::entrypoint(package.path()).nats(&url, protocol).start();
        let (first, second) = (nodes().await, nodes().await);
        let ingresses = [ingress().await, ingress().await];
        for ingress in &ingresses {
            becomes(ingress, ServingStatus::Serving).await;
        }
        let calls = |count| {
            join_all((0..count).map(|number| {
                let ingress = &ingresses[number % ingresses.len()];
                async move {
                    let answer = act(ingress, &number.to_string()).await;
                    let answer = answer
                        .unwrap_or_else(|status| panic!("{protocol:?}: {status}\n{}", ingress.lines.text()));
                    assert_eq!(answer["text"], format!("{number} one two three"));
                }
            }))
        };
        calls(64).await;
        // The leaving one finishes its messages in flight; the other one receives the waiting ones.
        let leaving = async {
            first.signal(Signal::TERM);
            first.end().await
        };
        let (ended, _) = tokio::join!(leaving, calls(64));
        assert_eq!(ended.code, Some(0), "{}", ended.lines.text());
        second.stop().await;
        for ingress in ingresses {
            ingress.stop().await;
        }
    }
}

#[tokio::test]
async fn missing_nodes_are_down_until_they_start() {
    for protocol in PROTOCOLS {
        let Some(server) = server("missing_nodes_are_down_until_they_start") else { return };
        let (package, url) = (package(&[]), server.url());
        let ingress = Krt::entrypoint(package.path()).nats(&url, protocol).start().await;
        let down = act(&ingress, "a").await;
        assert_status(down, Code::Unavailable, "node 'one' is down: it is being restarted");
        becomes(&ingress, ServingStatus::NotServing).await;
        let nodes = Krt::nodes(&["one", "two", "three"], package.path()).nats(&url, protocol).take().await;
        becomes(&ingress, ServingStatus::Serving).await;
        assert_eq!(act(&ingress, "b").await.unwrap()["text"], "b one two three");
        nodes.stop().await;
        becomes(&ingress, ServingStatus::NotServing).await;
        ingress.stop().await;
    }
}

#[tokio::test]
async fn missing_middle_nodes_are_reported_at_once() {
    let Some(server) = server("missing_middle_nodes_are_reported_at_once") else { return };
    let (package, url) = (package(&[]), server.url());
    let nodes = Krt::nodes(&["one", "three"], package.path()).nats(&url, WireProtocol::Core).take().await;
    let ingress = Krt::entrypoint(package.path()).nats(&url, WireProtocol::Core).start().await;
    let down = act(&ingress, "a").await;
    assert_status(down, Code::Unavailable, "node 'two' is down: it is being restarted");
    nodes.stop().await;
    ingress.stop().await;
}

#[tokio::test]
async fn lost_servers_are_reported_at_once_and_reconnected() {
    for protocol in PROTOCOLS {
        let Some(mut server) = server("lost_servers_are_reported_at_once_and_reconnected") else { return };
        let (package, url) = (package(&[]), server.url());
        let service = Krt::run_at(package.path()).nats(&url, protocol).start().await;
        assert_eq!(act(&service, "a").await.unwrap()["text"], "a one two three");
        server.kill();
        becomes(&service, ServingStatus::NotServing).await;
        assert_status(act(&service, "b").await, Code::Unavailable, "the connection to NATS is lost");
        server.start_again();
        becomes(&service, ServingStatus::Serving).await;
        let answer = eventually("requests are answered", async || act(&service, "c").await.ok()).await;
        assert_eq!(answer["text"], "c one two three");
        service.stop().await;
    }
}

#[tokio::test]
async fn the_server_sets_the_message_limit() {
    for (protocol, compression) in
        PROTOCOLS.into_iter().flat_map(|protocol| ["gzip", "zstd", "lz4"].map(|name| (protocol, name)))
    {
        let options = NatsOptions { jetstream: true, max_payload: Some(64 << 10), ..NatsOptions::default() };
        let Some(server) = NatsServer::start("the_server_sets_the_message_limit", options) else {
            return;
        };
        let (package, url) = (package(&[]), server.url());
        let krt = Krt::run_at(package.path()).nats(&url, protocol).flag("--compression", compression);
        let service = krt.start().await;
        // A node's random bytes are incompressible, but a client's request here is not.
        let large = json!({ "text": "a", "load": "AAAA".repeat(100_000) });
        let answer = service.call("Act", large).await;
        assert_eq!(answer.unwrap()["text"], "a one two three", "{protocol:?}, {compression}");
        let refused = service.call("Act", json!({ "text": "a", "act": "one grow" })).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        let (words, limit) =
            (refused.message(), if protocol == WireProtocol::Core { 65_536 } else { 63_488 });
        assert!(
            words.starts_with("the message of 'one' has ") && words.ends_with(&format!("takes {limit}")),
            "{words}"
        );
        service.stop().await;
    }
}

#[tokio::test]
async fn cancelled_requests_stop_work_in_other_engines() {
    for protocol in PROTOCOLS {
        let Some(server) = server("cancelled_requests_stop_work_in_other_engines") else { return };
        let (package, url) = (package(&[]), server.url());
        package.edit(
            "src/act/main.py",
            "async def fail(ctx, order):",
            "async def linger(ctx, order):\n    import asyncio\n    ctx.logger.info(\"begun\")\n    try:\n        \
             await asyncio.sleep(60)\n    except asyncio.CancelledError:\n        ctx.logger.info(\"stopped\")\n        \
             raise\n\n\nasync def fail(ctx, order):",
        );
        package.edit("src/act/main.py", "        fail,\n", "        fail,\n        linger,\n");
        let nodes = Krt::nodes(&["one", "two", "three"], package.path()).nats(&url, protocol).take().await;
        let ingress = Krt::entrypoint(package.path()).nats(&url, protocol).start().await;
        becomes(&ingress, ServingStatus::Serving).await;
        let request = json!({ "text": "a", "act": "two linger" });
        let late = ingress.call_within(Duration::from_secs(2), "Act", request).await;
        assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
        nodes.lines.wait("the end of the work", |record| record.is("two", "stopped")).await;
        assert_eq!(act(&ingress, "b").await.unwrap()["text"], "b one two three");
        nodes.stop().await;
        ingress.stop().await;
    }
}

/// Engines leave a queue group this way, and keep the messages that are on their way.
#[tokio::test]
async fn servers_end_a_subscription_of_too_many_messages_at_once() {
    for survives_kills in [false, true] {
        let options = NatsOptions { survives_kills, ..NatsOptions::default() };
        let test = "servers_end_a_subscription_of_too_many_messages_at_once";
        let Some(server) = NatsServer::start(test, options) else { return };
        let mut raw = BufReader::new(TcpStream::connect(("127.0.0.1", server.port)).await.unwrap());
        let said = format!(
            "CONNECT {{\"verbose\":false}}\r\nSUB work group 1\r\nSUB other 2\r\nUNSUB 1 {}\r\nPUB work 2\r\nhi\r\n\
             PUB other 5\r\nthere\r\n",
            u64::MAX
        );
        raw.write_all(said.as_bytes()).await.unwrap();
        let mut lines = raw.lines();
        let mut received = Vec::new();
        while received.last().is_none_or(|line| line != "there") {
            received.push(lines.next_line().await.unwrap().expect("the server is connected"));
        }
        let messages: Vec<_> = received.iter().filter(|line| line.starts_with("MSG ")).collect();
        assert_eq!(messages, ["MSG other 2 5"], "{received:?}");
    }
}
