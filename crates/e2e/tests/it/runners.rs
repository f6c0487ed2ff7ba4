//! The stand-ins for existing runners (`runners/`) among themselves over a real server: validates the
//! reference against which other tests check the engine.

use crate::support::{
    krt::packages,
    runners::{Entrypoint, Failure, Runner, WireProtocol, Workflow},
};
use async_nats::{Client, HeaderMap};
use futures::{StreamExt as _, future::join_all};
use krt_servers::{Link, NatsOptions, NatsServer};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

const NODES: [(&str, &str); 2] = [("one", "src/act/main.py"), ("two", "src/act/main.py")];
/// Long enough to conclude that no answer arrives.
const QUIET_PERIOD: Duration = Duration::from_millis(300);

fn server(test: &str, protocol: WireProtocol) -> Option<NatsServer> {
    NatsServer::start(
        test,
        NatsOptions { jetstream: protocol == WireProtocol::JetStream, ..NatsOptions::default() },
    )
}

fn workflow<'a>(protocol: WireProtocol, server: &'a str, package: &'a Path) -> Workflow<'a> {
    let (version, name) = ("wire-v1", "wire");
    Workflow { protocol, server, package, runtime: "wire", version, name, rpc: "Act", nodes: &NODES }
}

/// An entrypoint and two nodes.
struct Chain {
    entrypoint: Entrypoint,
    nodes: [Runner; 2],
}

impl Chain {
    async fn start(workflow: Workflow<'_>) -> Self {
        let (entrypoint, one, two) = tokio::join!(workflow.entrypoint(), workflow.node(0), workflow.node(1));
        Self { entrypoint, nodes: [one, two] }
    }

    async fn act(&self, act: &str) -> Result<Value, Failure> {
        let answer = self.entrypoint.call(json!({"text": "hi", "act": act})).await?;
        Ok(answer["text"].clone())
    }

    /// Stops all, none of which may have choked, and returns the nodes' logs.
    async fn end(self) -> [String; 2] {
        self.entrypoint.end().await;
        let [one, two] = self.nodes;
        [one.end().await, two.end().await]
    }
}

async fn what_they_do(protocol: WireProtocol, test: &str) {
    let Some(server) = server(test, protocol) else { return };
    let (url, package) = (server.url(), packages().join("wire"));
    let workflow = workflow(protocol, &url, &package);
    let chain = Chain::start(workflow).await;
    for (act, expected) in [
        ("", "hi one two"),
        ("one early_reply", "hi one early"),
        ("two early_reply", "hi one two early"),
        ("two early_reply_and_none", "hi one two early"),
        ("one early_exit", "hi one"),
        ("two early_exit", "hi one two"),
        ("one early_reply_and_exit", "hi one early"),
    ] {
        assert_eq!(chain.act(act).await, Ok(expected.into()), "{act}");
    }
    for (act, expected) in [
        ("one fail", "error in 'one': no: hi one"),
        ("two fail", "error in 'two': no: hi one two"),
        ("two none", "error in 'two': the handler returned no message"),
    ] {
        assert_eq!(chain.act(act).await, Err(Failure::Error(expected.to_owned())), "{act}");
    }
    let Err(Failure::Error(large)) = chain.act("one grow").await else { panic!("it is too large") };
    assert!(large.starts_with("error in 'one': the message has 2"), "{large}");
    // With JetStream, the error after the answer would count for the next request, since it has no id.
    assert_eq!(chain.act("one early_reply_twice").await, Ok("hi one early".into()));
    let [one, two] = chain.end().await;
    assert!(one.contains("ERROR error executing handler: error the message was replied previously"), "{one}");
    assert_eq!(two.matches("the request was replied to before: its result is dropped").count(), 3, "{two}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behaviour_over_core() {
    what_they_do(WireProtocol::Core, "behaviour_over_core").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behaviour_over_jetstream() {
    what_they_do(WireProtocol::JetStream, "behaviour_over_jetstream").await;
}

async fn each_request_has_its_answer(protocol: WireProtocol, test: &str) {
    let Some(server) = server(test, protocol) else { return };
    let (url, package) = (server.url(), packages().join("wire"));
    let workflow = workflow(protocol, &url, &package);
    let chain = Chain::start(workflow).await;
    // Replicas share the work, and a second entrypoint has other clients.
    let (replica, other) = tokio::join!(workflow.node(0), workflow.entrypoint());
    let load = "A".repeat(2 << 20);
    let calls = (0..60).map(async |number| {
        let entrypoint = if number % 2 == 0 { &chain.entrypoint } else { &other };
        let load = if number % 20 == 0 { load.as_str() } else { "" };
        let answer = entrypoint.call(json!({"text": number.to_string(), "load": load})).await.unwrap();
        assert_eq!(answer["text"], format!("{number} one two"));
        assert_eq!(answer["load"].as_str().unwrap_or_default(), load);
    });
    join_all(calls).await;
    replica.kill().await;
    other.kill().await;
    assert_eq!(chain.act("").await, Ok("hi one two".into()));
    chain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_its_answer_over_core() {
    each_request_has_its_answer(WireProtocol::Core, "each_request_has_its_answer_over_core").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_its_answer_over_jetstream() {
    each_request_has_its_answer(WireProtocol::JetStream, "each_request_has_its_answer_over_jetstream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_go_to_the_writer() {
    let Some(server) = server("documents_go_to_the_writer", WireProtocol::Core) else { return };
    let (url, package) = (server.url(), packages().join("wire"));
    let workflow = workflow(WireProtocol::Core, &url, &package);
    let client = async_nats::connect(&url).await.unwrap();
    let mut documents = client.subscribe(workflow.mongo_writer()).await.unwrap();
    client.flush().await.unwrap();
    let chain = Chain::start(workflow).await;
    let load = "A".repeat(2 << 20);
    for (act, load, success) in [("save", "", true), ("save", load.as_str(), true), ("predict", "", false)] {
        let writer = async {
            let message = documents.next().await.unwrap();
            assert_eq!(message.payload.starts_with(&[0x1f, 0x8b]), !load.is_empty());
            let answer = json!({"success": success}).to_string();
            client.publish(message.reply.unwrap(), answer.into()).await.unwrap();
            document(&message.payload)
        };
        let request = json!({"text": "hi", "act": format!("two {act}"), "load": load});
        let (document, answer) = tokio::join!(writer, chain.entrypoint.call(request));
        assert_eq!(answer.unwrap()["text"], "hi one two");
        match act {
            "save" => {
                assert_eq!(document["coll"], "orders");
                assert_eq!(document["doc"]["text"], "hi one two");
            }
            _ => {
                assert_eq!(document["coll"], "classificationMetrics");
                assert_eq!(document["doc"]["trueValue"], "hi one two");
                assert_eq!(document["doc"]["versionName"], "wire-v1");
            }
        }
    }
    let [_, two] = chain.end().await;
    assert!(two.contains("a document of 'classificationMetrics' is not saved"), "{two}");
}

fn document(bytes: &[u8]) -> Value {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return serde_json::from_slice(bytes).unwrap();
    }
    serde_json::from_reader(flate2::read::MultiGzDecoder::new(bytes)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_responders_fail() {
    let Some(server) = server("requests_without_responders_fail", WireProtocol::JetStream) else { return };
    let (url, package) = (server.url(), packages().join("wire"));
    for (protocol, expected) in
        [(WireProtocol::Core, Failure::NoResponders), (WireProtocol::JetStream, Failure::Timeout)]
    {
        let entrypoint = workflow(protocol, &url, &package).entrypoint().await;
        assert_eq!(entrypoint.call_within(QUIET_PERIOD, json!({})).await, Err(expected));
        entrypoint.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_messages_break_a_node() {
    let Some(server) = server("invalid_messages_break_a_node", WireProtocol::JetStream) else { return };
    let (url, package) = (server.url(), packages().join("wire"));
    let client = async_nats::connect(&url).await.unwrap();
    for protocol in [WireProtocol::Core, WireProtocol::JetStream] {
        let workflow = workflow(protocol, &url, &package);
        if protocol == WireProtocol::JetStream {
            let config = async_nats::jetstream::stream::Config {
                name: workflow.stream(),
                subjects: vec![format!("{}.*", workflow.stream())],
                ..Default::default()
            };
            async_nats::jetstream::new(client.clone()).create_stream(config).await.unwrap();
        }
        let node = workflow.node(0).await;
        send(&client, workflow.input(0), b"\x0a\x02id").await;
        let words = node.choked().await;
        assert!(words.contains("ChokedError: a payload of no type"), "{words}");
    }
}

/// Old runners ignore headers, such as those of a trace.
async fn send(client: &Client, subject: String, bytes: &'static [u8]) {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    client.publish_with_headers(subject, headers, bytes.into()).await.unwrap();
    client.flush().await.unwrap();
}

async fn they_outlive_the_server(protocol: WireProtocol, test: &str) {
    let Some(mut server) = server(test, protocol) else { return };
    let link = Link::to(server.port).await;
    let (url, package) = (format!("nats://127.0.0.1:{}", link.port), packages().join("wire"));
    let chain = Chain::start(workflow(protocol, &url, &package)).await;
    assert_eq!(chain.act("").await, Ok("hi one two".into()));
    server.kill();
    server.start_again();
    answers_again(&chain).await;
    link.cut();
    link.restore();
    answers_again(&chain).await;
    chain.end().await;
}

async fn answers_again(chain: &Chain) {
    for _ in 0..100 {
        let request = json!({"text": "hi"});
        match chain.entrypoint.call_within(QUIET_PERIOD, request).await {
            Ok(answer) => return assert_eq!(answer["text"], "hi one two"),
            Err(Failure::Error(error)) => panic!("{error}"),
            Err(_) => {}
        }
    }
    panic!("there is no answer any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn runners_survive_a_server_restart_over_core() {
    they_outlive_the_server(WireProtocol::Core, "runners_survive_a_server_restart_over_core").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runners_survive_a_server_restart_over_jetstream() {
    they_outlive_the_server(WireProtocol::JetStream, "runners_survive_a_server_restart_over_jetstream").await;
}
