//! Existing runners together with ours: each can replace any other, and none chokes.

use super::{NODES, environment, package, runner, server, workflow};
use crate::support::{
    Krt, assert_status,
    krt::{refused, stdout_of},
    runners::{Entrypoint, WireProtocol},
};
use bson::doc;
use futures::TryStreamExt as _;
use krt_model::request::HopEnding;
use krt_remote::{Documents, Mongo};
use krt_servers::MongoServer;
use krt_store::{PREDICTIONS, RequestFilter, RequestOrder};
use serde_json::json;
use std::time::Duration;
use tonic::Code;

const ANSWERS: [(&str, &str); 8] = [
    ("", "hi one two three"),
    ("one early_reply", "hi one early"),
    ("two early_reply", "hi one two early"),
    ("three early_reply_and_none", "hi one two three early"),
    ("one early_exit", "hi one"),
    ("two early_exit", "hi one two"),
    ("three early_exit", "hi one two three"),
    ("two early_reply_and_exit", "hi one two early"),
];

const ERRORS: [(&str, &str, &str); 3] = [
    ("one", "one fail", "error in 'one': no: hi one"),
    ("two", "two fail", "error in 'two': no: hi one two"),
    ("three", "three fail", "error in 'three': no: hi one two three"),
];

/// Long enough for an error with its request's id to arrive.
const QUIET_PERIOD: Duration = Duration::from_secs(1);

async fn one_of_them_stands_for(position: usize, protocol: WireProtocol, test: &str) {
    let Some(server) = server(test) else { return };
    let (url, package) = (server.url(), package(&[position]));
    let name = NODES[position].0;
    let service = Krt::run_at(package.path()).nats(&url, protocol).start().await;
    let old = runner(protocol, &url, package.path(), name, &["--workflow", "wire"]).await;
    for (act, expected) in ANSWERS {
        let answer = service.call("Act", json!({"text": "hi", "act": act})).await;
        assert_eq!(answer.unwrap()["text"], expected, "{act}");
    }
    for (node, act, expected) in ERRORS {
        let request = json!({"text": "hi", "act": act});
        if protocol == WireProtocol::JetStream && node == name {
            // The error does not identify its request.
            let status = service.call_within(QUIET_PERIOD, "Act", request).await.unwrap_err();
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
            let error =
                format!("received an error without a request id; its client keeps waiting: {expected}");
            service.lines.wait("the error", |record| record.message == error).await;
        } else {
            let status = service.call("Act", request).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::Internal, expected));
        }
    }
    let load = json!("QUFB".repeat(700_000));
    let answer = service.call("Act", json!({"text": "hi", "load": load})).await.unwrap();
    assert_eq!(answer["load"], load);
    for act in ["save", "predict"] {
        let act = format!("{name} {act}");
        let answer = service.call("Act", json!({"text": "hi", "act": act})).await.unwrap();
        assert_eq!(answer["text"], "hi one two three");
    }
    old.end().await;
    let ended = service.stop().await;
    // Its own call, and those before it, are in the envelope only.
    let records = ended.reader().requests(&RequestFilter::default(), RequestOrder::Latest, 100).unwrap();
    let first = records.last().unwrap();
    let nodes = first.hops.iter().map(|hop| (hop.node.as_str(), hop.position, hop.ending));
    let returned = |(position, (name, _))| (name, position, HopEnding::Returned);
    assert!(nodes.eq(NODES.into_iter().enumerate().map(returned)), "{first:#?}");
    let collections = format!("{:?}", ended.reader().collections().unwrap());
    assert!(collections.contains("orders") && collections.contains("classificationMetrics"), "{collections}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_node_over_core() {
    one_of_them_stands_for(0, WireProtocol::Core, "the_first_node_over_core").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_middle_node_over_core() {
    one_of_them_stands_for(1, WireProtocol::Core, "a_middle_node_over_core").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_node_over_core() {
    one_of_them_stands_for(2, WireProtocol::Core, "the_last_node_over_core").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_node_over_jetstream() {
    one_of_them_stands_for(0, WireProtocol::JetStream, "the_first_node_over_jetstream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_middle_node_over_jetstream() {
    one_of_them_stands_for(1, WireProtocol::JetStream, "a_middle_node_over_jetstream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_node_over_jetstream() {
    one_of_them_stands_for(2, WireProtocol::JetStream, "the_last_node_over_jetstream").await;
}

/// Any part of ours with a shared store saves the data that existing runners send.
#[tokio::test(flavor = "multi_thread")]
async fn data_of_existing_runners_goes_to_mongodb() {
    let test = "data_of_existing_runners_goes_to_mongodb";
    let (Some(server), Some(mongo)) = (server(test), MongoServer::start(test)) else { return };
    let (url, package, protocol) = (server.url(), package(&[1]), WireProtocol::Core);
    let part = |krt: Krt| krt.nats(&url, protocol).flag("--mongo", &mongo.url);
    let nodes = part(Krt::nodes(&["one", "three"], package.path())).take().await;
    let entrypoint = workflow(protocol, &url, package.path()).entrypoint().await;
    let old = runner(protocol, &url, package.path(), "two", &["--workflow", "wire"]).await;
    for act in ["two save", "two predict"] {
        let answer = entrypoint.call(json!({"text": "hi", "act": act})).await;
        assert_eq!(answer.unwrap()["text"], "hi one two three", "{act}");
    }
    entrypoint.end().await;
    old.end().await;
    nodes.stop().await;
    let kept = Documents::Mongo(Mongo::connect(&(*mongo.url).into(), "wire-v1").await.unwrap());
    for (collection, query) in
        [("orders", doc! { "text": "hi one two" }), (PREDICTIONS, doc! { "trueValue": "hi one two" })]
    {
        let found = kept.find(collection, query).await.unwrap();
        assert_eq!(found.try_collect::<Vec<_>>().await.unwrap().len(), 1, "{collection}");
    }
}

async fn our_nodes_are_behind_an_existing_entrypoint(protocol: WireProtocol, test: &str) {
    let Some(server) = server(test) else { return };
    let (url, package, folder) = (server.url(), package(&[]), tempfile::tempdir().unwrap());
    let subjects = folder.path().join("subjects of it.json").display().to_string();
    let environment =
        environment(protocol, &url, package.path(), "--entrypoint", &["--subjects-file", &subjects]);
    let entrypoint = Entrypoint::start_with(&workflow(protocol, &url, package.path()), &environment).await;
    let nodes = Krt::nodes(&["one", "two", "three"], package.path()).nats(&url, protocol).take().await;
    for (act, expected) in ANSWERS {
        let answer = entrypoint.call(json!({"text": "hi", "act": act})).await;
        assert_eq!(answer.unwrap()["text"], expected, "{act}");
    }
    entrypoint.end().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_nodes_work_behind_an_entrypoint_over_core() {
    let test = "our_nodes_work_behind_an_entrypoint_over_core";
    our_nodes_are_behind_an_existing_entrypoint(WireProtocol::Core, test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_nodes_work_behind_an_entrypoint_over_jetstream() {
    let test = "our_nodes_work_behind_an_entrypoint_over_jetstream";
    our_nodes_are_behind_an_existing_entrypoint(WireProtocol::JetStream, test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_runners_handle_one_workflow_twice_behind_our_entrypoint() {
    let test = "existing_runners_handle_one_workflow_twice_behind_our_entrypoint";
    let Some(server) = server(test) else { return };
    let (url, package, protocol) = (server.url(), package(&[0, 1, 2]), WireProtocol::Core);
    let service = Krt::entrypoint(package.path()).nats(&url, protocol).start().await;
    let start = |node, flags: &'static [&'static str]| runner(protocol, &url, package.path(), node, flags);
    let (first, one, second) = tokio::join!(
        start("two", &["--workflow", "again"]),
        start("one", &["--workflow", "again"]),
        start("two", &["--workflow", "again", "--turn", "2"]),
    );
    let answer = service.call("Again", json!({"text": "hi"})).await.unwrap();
    assert_eq!(answer["text"], "hi two one two");
    for runner in [first, one, second] {
        runner.end().await;
    }
    service.stop().await;
}

#[test]
fn a_node_in_several_workflows_needs_a_workflow_name() {
    let package = package(&[]);
    let flags = ["--nats", "nats://ada:s3cret@127.0.0.1:4222"];
    let words = refused(&["env", "one"], package.path(), &flags);
    assert!(words.contains("several workflows have the node `one`"), "{words}");
    assert!(words.contains("hint: --workflow wire or again"), "{words}");
    assert!(!words.contains("s3cret"), "{words}");
    // The runner needs the password to sign in.
    let all = [&flags[..], &["--workflow", "wire"]].concat();
    assert!(stdout_of(&["env", "one"], package.path(), &all).contains("KRT_NATS_SERVER=nats://ada:s3cret@"));
    let last = environment(WireProtocol::Core, "nats://127.0.0.1:4222", package.path(), "three", &[]);
    assert!(last.contains(&("KRT_NATS_OUTPUT".to_owned(), String::new())), "{last:?}");
}

#[tokio::test]
async fn nodes_without_runners_are_not_reported_as_restarting() {
    let Some(server) = server("nodes_without_runners_are_not_reported_as_restarting") else { return };
    let package = package(&[0]);
    let service = Krt::run_at(package.path()).nats(&server.url(), WireProtocol::Core).start().await;
    let name = NODES[0].0;
    let message =
        format!("no runner serves node `{name}`; hint: `krt env {name}` prints the variables that start one");
    let answer = service.call("Act", json!({"text": "hi", "act": ""})).await;
    assert_status(answer, Code::Unavailable, &message);
    service.stop().await;
}
