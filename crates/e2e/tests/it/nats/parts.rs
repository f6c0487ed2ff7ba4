//! The parts of a version: several of each, and what they see of one another and of the server.

use super::{package, server};
use crate::support::{Krt, Service, assert_status, eventually, runners::Era};
use futures::future::join_all;
use krt_servers::{NatsOptions, NatsServer};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const ERAS: [Era; 2] = [Era::Core, Era::JetStream];

async fn act(door: &Service, text: &str) -> Result<Value, Status> {
    door.call("Act", json!({ "text": text, "act": "" })).await
}

async fn becomes(door: &Service, expected: ServingStatus) {
    let (transport, origin) = door.client().transport();
    let mut health = HealthClient::with_origin(transport, origin);
    eventually(&format!("health is {expected:?}"), async || {
        let answer = health.check(HealthCheckRequest { service: String::new() }).await.unwrap();
        (answer.into_inner().status() == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn several_of_each_serve_their_own_clients_and_one_may_leave() {
    for era in ERAS {
        let Some(server) = server("several_of_each_serve_their_own_clients_and_one_may_leave") else {
            return;
        };
        let (package, url) = (package(&[]), server.url());
        let nodes = || Krt::nodes(&["one", "two", "three"], package.path()).nats(&url, era).take();
        let door = || Krt::entrypoint(package.path()).nats(&url, era).start();
        let (first, second) = (nodes().await, nodes().await);
        let doors = [door().await, door().await];
        for door in &doors {
            becomes(door, ServingStatus::Serving).await;
        }
        let calls = |count| {
            join_all((0..count).map(|number| {
                let door = &doors[number % doors.len()];
                async move {
                    let answer = act(door, &number.to_string()).await;
                    let answer =
                        answer.unwrap_or_else(|status| panic!("{era:?}: {status}\n{}", door.lines.text()));
                    assert_eq!(answer["text"], format!("{number} one two three"));
                }
            }))
        };
        calls(64).await;
        // What the one that leaves has begun it finishes; what waits for it the other gets.
        let leaving = async {
            first.signal(Signal::TERM);
            first.end().await
        };
        let (ended, _) = tokio::join!(leaving, calls(64));
        assert_eq!(ended.code, Some(0), "{}", ended.lines.text());
        second.stop().await;
        for door in doors {
            door.stop().await;
        }
    }
}

#[tokio::test]
async fn a_node_that_runs_nowhere_is_down_until_it_comes() {
    for era in ERAS {
        let Some(server) = server("a_node_that_runs_nowhere_is_down_until_it_comes") else { return };
        let (package, url) = (package(&[]), server.url());
        let door = Krt::entrypoint(package.path()).nats(&url, era).start().await;
        let down = act(&door, "a").await;
        assert_status(down, Code::Unavailable, "node 'one' is down: it is being restarted");
        becomes(&door, ServingStatus::NotServing).await;
        let nodes = Krt::nodes(&["one", "two", "three"], package.path()).nats(&url, era).take().await;
        becomes(&door, ServingStatus::Serving).await;
        assert_eq!(act(&door, "b").await.unwrap()["text"], "b one two three");
        nodes.stop().await;
        becomes(&door, ServingStatus::NotServing).await;
        door.stop().await;
    }
}

#[tokio::test]
async fn a_node_between_others_that_runs_nowhere_is_told_at_once() {
    let Some(server) = server("a_node_between_others_that_runs_nowhere_is_told_at_once") else { return };
    let (package, url) = (package(&[]), server.url());
    let nodes = Krt::nodes(&["one", "three"], package.path()).nats(&url, Era::Core).take().await;
    let door = Krt::entrypoint(package.path()).nats(&url, Era::Core).start().await;
    let down = act(&door, "a").await;
    assert_status(down, Code::Unavailable, "node 'two' is down: it is being restarted");
    nodes.stop().await;
    door.stop().await;
}

#[tokio::test]
async fn a_server_that_goes_is_told_at_once_and_met_again() {
    for era in ERAS {
        let Some(mut server) = server("a_server_that_goes_is_told_at_once_and_met_again") else { return };
        let (package, url) = (package(&[]), server.url());
        let service = Krt::run_at(package.path()).nats(&url, era).start().await;
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
async fn the_server_says_how_large_a_message_may_be() {
    for era in ERAS {
        let options = NatsOptions { jetstream: true, max_payload: Some(64 << 10), ..NatsOptions::default() };
        let Some(server) = NatsServer::start("the_server_says_how_large_a_message_may_be", options) else {
            return;
        };
        let package = package(&[]);
        // A node's random bytes cannot be compressed; what a client sends here can.
        let service = Krt::run_at(package.path()).nats(&server.url(), era).start().await;
        let answer =
            service.call("Act", json!({ "text": "a", "load": "AAAA".repeat(100_000) })).await.unwrap();
        assert_eq!(answer["text"], "a one two three");
        let refused = service.call("Act", json!({ "text": "a", "act": "one grow" })).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        let (words, limit) = (refused.message(), if era == Era::Core { 65_536 } else { 63_488 });
        assert!(
            words.starts_with("the message of 'one' has ") && words.ends_with(&format!("takes {limit}")),
            "{words}"
        );
        service.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_work_elsewhere() {
    for era in ERAS {
        let Some(server) = server("a_client_that_leaves_stops_the_work_elsewhere") else { return };
        let (package, url) = (package(&[]), server.url());
        package.edit(
            "src/act/main.py",
            "async def fail(ctx, order):",
            "async def linger(ctx, order):\n    import asyncio\n    ctx.logger.info(\"begun\")\n    try:\n        \
             await asyncio.sleep(60)\n    except asyncio.CancelledError:\n        ctx.logger.info(\"stopped\")\n        \
             raise\n\n\nasync def fail(ctx, order):",
        );
        package.edit("src/act/main.py", "        fail,\n", "        fail,\n        linger,\n");
        let nodes = Krt::nodes(&["one", "two", "three"], package.path()).nats(&url, era).take().await;
        let door = Krt::entrypoint(package.path()).nats(&url, era).start().await;
        becomes(&door, ServingStatus::Serving).await;
        let request = json!({ "text": "a", "act": "two linger" });
        let late = door.call_within(Duration::from_secs(2), "Act", request).await;
        assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
        nodes.lines.wait("the end of the work", |record| record.is("two", "stopped")).await;
        assert_eq!(act(&door, "b").await.unwrap()["text"], "b one two three");
        nodes.stop().await;
        door.stop().await;
    }
}
