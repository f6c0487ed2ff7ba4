//! Other clients of a NATS server, which may publish to the subjects of a version's nodes.

use super::MAX_BYTES;
use crate::{
    attacks::held_within,
    support::{Krt, Service, actor, eventually, runners::WireProtocol},
};
use async_nats::{Client, HeaderMap, Subscriber, jetstream};
use flate2::{Compression, write::GzEncoder};
use futures::StreamExt as _;
use krt_servers::{NatsOptions, NatsServer};
use prost::Message as _;
use serde_json::json;
use std::{io::Write as _, time::Duration};

/// KRT v1's `KreNatsMessage`, with the fields used here.
#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(string, tag = "1")]
    tracking_id: String,
    #[prost(bytes = "vec", repeated, tag = "2")]
    tracking: Vec<Vec<u8>>,
    #[prost(string, tag = "3")]
    reply: String,
    #[prost(message, optional, tag = "4")]
    payload: Option<prost_types::Any>,
}

/// A request for the node's `hello`.
fn hello(reply: &str) -> Envelope {
    Envelope {
        tracking_id: "an-id".to_owned(),
        reply: reply.to_owned(),
        payload: Some(text("hello")),
        ..Envelope::default()
    }
}

fn text(text: &str) -> prost_types::Any {
    let value = [&[0x0a, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    prost_types::Any { type_url: "type.googleapis.com/actor.Text".to_owned(), value }
}

/// A few bytes that decompress to many.
fn bomb() -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let plain = Envelope {
        payload: Some(prost_types::Any { type_url: "a".to_owned(), value: vec![0; 16 << 20] }),
        ..hello("_INBOX.bomb.a")
    };
    gzip.write_all(&plain.encode_to_vec()).unwrap();
    gzip.finish().unwrap()
}

/// A version over a server, and a hostile client of the server.
struct Fixture {
    service: Service,
    client: Client,
    /// Messages to a subject where no answer may go.
    elsewhere: Subscriber,
    server: NatsServer,
}

const OTHER_SUBJECT: &str = "payments.orders";

impl Fixture {
    async fn open(test: &str, protocol: WireProtocol) -> Option<Self> {
        let server = NatsServer::start(test, NatsOptions { jetstream: true, ..NatsOptions::default() })?;
        let package = actor::package("");
        let krt = Krt::run_at(package.path()).nats(&server.url(), protocol);
        let service = krt.flag("--max-bytes", MAX_BYTES.to_string()).start().await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let elsewhere = client.subscribe(OTHER_SUBJECT).await.unwrap();
        client.flush().await.unwrap();
        Some(Self { service, client, elsewhere, server })
    }

    /// Asserts that the version serves, and that no message went elsewhere.
    async fn assert_well(mut self, what: &str) {
        let serves = async || self.service.call("Act", json!({ "text": "hello" })).await.ok();
        let answer = eventually(&format!("it serves after {what}"), serves).await;
        assert_eq!(answer["text"], "hello", "{what}");
        // The server keeps the order of a connection, so all earlier messages of the engine have arrived.
        self.client.publish(OTHER_SUBJECT, "the end".into()).await.unwrap();
        let first = tokio::time::timeout(Duration::from_secs(30), self.elsewhere.next()).await;
        let first = first.expect("what was just sent comes").unwrap();
        assert_eq!(first.payload, "the end", "{what}: it was sent elsewhere");
        held_within(&self.service, MAX_BYTES);
        drop(self.server);
    }
}

#[tokio::test]
async fn answers_go_to_inboxes_only() {
    let test = "answers_go_to_inboxes_only";
    let Some(fixture) = Fixture::open(test, WireProtocol::Core).await else { return };
    let subject = "actor-v1-Act-entrypoint";
    let mut inbox = fixture.client.subscribe("_INBOX.good.>").await.unwrap();
    for reply in
        [OTHER_SUBJECT, "$JS.API.STREAM.DELETE.a", "a b", "_INBOX.a\r\nPUB payments.orders 0\r\n", subject]
    {
        let body = hello(reply).encode_to_vec();
        fixture.client.publish(subject, body.clone().into()).await.unwrap();
    }
    let body = hello("").encode_to_vec();
    fixture.client.publish_with_reply(subject, OTHER_SUBJECT, body.into()).await.unwrap();
    let body = hello("_INBOX.good.a").encode_to_vec();
    fixture.client.publish(subject, body.into()).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await;
    let answer = Envelope::decode(answer.expect("an inbox gets its answer").unwrap().payload).unwrap();
    assert_eq!(answer.payload, Some(text("hello")));
    fixture.assert_well("replies to elsewhere").await;
}

#[tokio::test]
async fn decompressed_messages_stay_within_the_bound() {
    let test = "decompressed_messages_stay_within_the_bound";
    let Some(fixture) = Fixture::open(test, WireProtocol::Core).await else { return };
    let subject = "actor-v1-Act-entrypoint";
    let many = Envelope { tracking: vec![Vec::new(); 400_000], ..hello("_INBOX.many.a") }.encode_to_vec();
    let bomb = bomb();
    for number in 0..20 {
        fixture.client.publish(subject, bomb.clone().into()).await.unwrap();
        if number % 10 == 0 {
            fixture.client.publish(subject, many.clone().into()).await.unwrap();
        }
    }
    fixture.client.flush().await.unwrap();
    fixture.assert_well("bombs").await;
}

#[tokio::test]
async fn hostile_headers_and_ids_are_dead_lettered_or_ignored() {
    let test = "hostile_headers_and_ids_are_dead_lettered_or_ignored";
    let Some(fixture) = Fixture::open(test, WireProtocol::JetStream).await else { return };
    let context = jetstream::new(fixture.client.clone());
    let subject = "actor-v1-actor-v1-Act.actor";
    let hostile = |name: &str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        headers
    };
    for (headers, envelope) in [
        (hostile("Krt-Reply", OTHER_SUBJECT), hello("an-id")),
        (hostile("Krt-Reply", "$JS.API.STREAM.PURGE.a"), hello("an-id")),
        (hostile("Krt-Deadline", "18446744073709551615"), hello("an-id")),
        (hostile("Krt-Deadline", "-1"), hello("an-id")),
        (hostile("Krt-Failure", "queue full"), hello("an-id")),
        (hostile("Krt-Hops", "actor:0:whim:0:1:2:3:4"), hello("an-id")),
        (hostile("Krt-Hops", &"actor:0:ok:0:1:2:3:4,".repeat(2500)), hello("an-id")),
        (hostile("traceparent", &"f".repeat(60_000)), hello("an-id")),
        (HeaderMap::new(), Envelope { tracking_id: "a\nb".to_owned(), ..hello("an-id") }),
        (HeaderMap::new(), Envelope { tracking_id: "a".repeat(900_000), ..hello("an-id") }),
        (HeaderMap::new(), Envelope { payload: None, ..hello("an-id") }),
        (HeaderMap::new(), Envelope { tracking: vec![Vec::new(); 400_000], ..hello("an-id") }),
    ] {
        let stored = context.publish_with_headers(subject, headers, envelope.encode_to_vec().into()).await;
        stored.unwrap().await.unwrap();
    }
    // Each message is acknowledged or a dead letter: none is redelivered forever.
    let stream = context.get_stream("actor-v1-actor-v1-Act").await.unwrap();
    let empty = async || (stream.get_info().await.unwrap().state.messages == 0).then_some(());
    eventually("nothing is left in the stream", empty).await;
    fixture.assert_well("hostile messages").await;
}
