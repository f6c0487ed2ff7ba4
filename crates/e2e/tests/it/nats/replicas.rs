//! The replicas of streams in a cluster.

use super::{package, server};
use crate::support::{Krt, eventually, runners::WireProtocol};
use async_nats::jetstream;
use futures::TryStreamExt as _;
use krt_servers::{NatsMember, NatsOptions, NatsServer};
use serde_json::json;
use std::{net::Ipv4Addr, path::Path};

/// Three servers in a cluster; returns once they form one.
async fn cluster(test: &str) -> Option<Vec<NatsServer>> {
    let start = |member| {
        let options = NatsOptions { jetstream: true, cluster: Some(member), ..NatsOptions::default() };
        NatsServer::start(test, options)
    };
    let members = NatsMember::of(&[Ipv4Addr::LOCALHOST; 3], NatsMember::free_port);
    let servers: Vec<_> = members.into_iter().map(start).collect::<Option<_>>()?;
    let current = async || servers.iter().all(|server| server.lacks().is_none()).then_some(());
    eventually("the servers are a cluster", current).await;
    Some(servers)
}

/// Runs the package, which must answer once; returns its output.
async fn answers(package: &Path, url: &str, replicas: Option<&str>) -> String {
    let krt = Krt::run_at(package).nats(url, WireProtocol::JetStream);
    let krt = replicas.into_iter().fold(krt, |krt, count| krt.flag("--nats-replicas", count));
    let service = krt.start().await;
    let answer = service.call("Act", json!({ "text": "one", "act": "" })).await;
    assert_eq!(answer.unwrap()["text"], "one one two three");
    service.stop().await.lines.text()
}

/// The names of all streams with their numbers of replicas.
async fn replicas(server: &NatsServer) -> Vec<(String, usize)> {
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let streams: Vec<_> = context.streams().try_collect().await.unwrap();
    let mut found: Vec<_> =
        streams.into_iter().map(|stream| (stream.config.name, stream.config.num_replicas)).collect();
    found.sort();
    found
}

#[tokio::test]
async fn streams_get_missing_replicas_and_keep_existing_ones() {
    let test = "streams_get_missing_replicas_and_keep_existing_ones";
    let Some(servers) = cluster(test).await else { return };
    let package = package(&[]);
    let url = servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",");
    let all = |count| {
        ["DEAD-wire-v1-wire-v1", "wire-v1-wire-v1-Act", "wire-v1-wire-v1-Again"]
            .map(|name| (name.to_owned(), count))
    };
    answers(package.path(), &url, None).await;
    assert_eq!(replicas(&servers[1]).await, all(1));
    let stdout = answers(package.path(), &url, Some("3")).await;
    assert!(stdout.contains("the stream `wire-v1-wire-v1-Act` gets 3 replicas"), "{stdout}");
    assert_eq!(replicas(&servers[1]).await, all(3));
    let stdout = answers(package.path(), &url, Some("2")).await;
    assert!(stdout.contains("the stream `wire-v1-wire-v1-Act` has 3 replicas: it keeps them"), "{stdout}");
    assert_eq!(replicas(&servers[1]).await, all(3));
}

#[tokio::test]
async fn a_single_server_refuses_replicas() {
    let Some(server) = server("a_single_server_refuses_replicas") else { return };
    let package = package(&[]);
    let krt = Krt::run_at(package.path()).nats(&server.url(), WireProtocol::JetStream);
    let ended = krt.flag("--nats-replicas", "3").end().await;
    assert_eq!(ended.code, Some(1));
    let words = ended.lines.last_message();
    assert!(words.contains("the stream `wire-v1-wire-v1-Act` cannot have 3 replicas"), "{words}");
    assert!(
        words.contains("--nats-replicas needs as many servers with JetStream, in one cluster"),
        "{words}"
    );
}
