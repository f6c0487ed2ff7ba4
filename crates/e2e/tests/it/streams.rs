//! Streams: RPCs that answer with several messages (docs/guide/streams.md).

use crate::support::{
    Krt, Service, assert_status, eventually, grpc::Answers, http::Reply, krt, runners::WireProtocol,
    team::dashboard,
};
use http::{Method, StatusCode};
use krt_api::{
    call::{CallResult, Methods},
    request::{RequestDetail, RequestPage},
};
use krt_model::request::{Ending, StreamedAnswer};
use krt_servers::{NatsOptions, NatsServer};
use krt_store::{RequestFilter, RequestOrder};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tonic::{Code, Request, Status};

const MESSAGES: usize = 200;
const LARGE: usize = 256 << 10;

async fn start() -> Service {
    Krt::run("streams").start().await
}

async fn open(service: &Service, rpc: &str, order: Value) -> Answers {
    service.client().stream(rpc, order).await.unwrap()
}

/// Calls an RPC. Returns the answer's messages, and its status.
async fn all(service: &Service, rpc: &str, order: Value) -> (Vec<Value>, Result<(), Status>) {
    match service.client().stream(rpc, order).await {
        Ok(answers) => answers.rest().await,
        Err(status) => (Vec::new(), Err(status)),
    }
}

fn numbers(messages: &[Value]) -> Vec<i64> {
    messages.iter().map(|message| message["number"].as_i64().unwrap_or(0)).collect()
}

fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["text"].as_str().unwrap_or_default()).collect()
}

#[track_caller]
fn assert_failed(ended: Result<(), Status>, code: Code, message: &str) {
    assert_status(ended.map(|()| Value::Null), code, message);
}

/// How often a handler has done something for a request.
fn count(service: &Service, name: &str, what: &str) -> usize {
    fs::read(service.scratch.path().join(format!("{name}.{what}"))).map_or(0, |marks| marks.len())
}

#[tokio::test]
async fn messages_come_in_order() {
    let service = start().await;
    for rpc in ["Stream", "Plain", "Data"] {
        for messages in [0, 1, 100] {
            let (found, ended) = all(&service, rpc, json!({ "count": messages })).await;
            assert_eq!(numbers(&found), (0..messages).collect::<Vec<_>>(), "{rpc}");
            ended.unwrap();
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn each_message_comes_at_once() {
    let service = start().await;
    let mut answers = open(&service, "Stream", json!({ "name": "a", "count": 1, "then": "hold" })).await;
    assert!(answers.next().await.unwrap().is_some());
    service.scratch.wait("a.begun").await;
    service.scratch.put("a");
    assert_eq!(answers.next().await.unwrap().unwrap()["text"], "held");
    assert_eq!(answers.next().await.unwrap(), None);
    service.stop().await;
}

#[tokio::test]
async fn errors_are_the_status_after_the_messages() {
    let service = start().await;
    for (rpc, messages, then, code, error) in [
        ("Stream", 0, "fail", Code::Internal, "error in 'streamer': no more"),
        ("Stream", 3, "fail", Code::Internal, "error in 'streamer': no more"),
        ("Plain", 3, "fail", Code::Internal, "error in 'plain': no more"),
        ("Data", 3, "fail", Code::Internal, "error in 'data': no more"),
        (
            "Stream",
            3,
            "another type",
            Code::Internal,
            "node 'streamer' answered with a streams.Order, but the RPC returns streams.Item",
        ),
        ("Data", 3, "misfit", Code::Internal, "error in 'data': what the handler returned does not fit"),
        (
            "Stream",
            2,
            "die",
            Code::Unavailable,
            "node 'streamer' died after 2 messages of the answer: killed by signal 9 (SIGKILL)",
        ),
    ] {
        let name = format!("{rpc}-{messages}-{}", then.replace(' ', "-"));
        let order = json!({ "name": name, "count": messages, "then": then });
        let (found, ended) = all(&service, rpc, order).await;
        assert_eq!(found.len(), messages, "{name}");
        let status = ended.unwrap_err();
        assert!(status.code() == code && status.message().starts_with(error), "{status}");
        if rpc == "Stream" && then != "die" {
            service.scratch.wait(&format!("{name}.closed")).await;
        }
        if then == "die" {
            assert_eq!(count(&service, &name, "calls"), 1, "it is not handled again");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn a_worker_that_dies_before_its_first_message_is_replaced() {
    let service = start().await;
    let order = json!({ "name": "a", "count": 3, "then": "die once" });
    let (found, ended) = all(&service, "Stream", order).await;
    assert_eq!(numbers(&found), [0, 1, 2]);
    ended.unwrap();
    assert_eq!(count(&service, "a", "calls"), 2);
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_generator() {
    let service = start().await;
    let workers = [service.workers("streamer"), service.workers("plain")];
    let mut held = open(&service, "Stream", json!({ "name": "held", "count": 1, "then": "hold" })).await;
    held.next().await.unwrap();
    service.scratch.wait("held.begun").await;
    drop(held);
    service.scratch.wait("held.closed").await;
    for rpc in ["Stream", "Plain"] {
        let order = json!({ "name": rpc, "count": MESSAGES, "size": LARGE });
        let mut slow = open(&service, rpc, order).await;
        slow.next().await.unwrap();
        drop(slow);
        service.scratch.wait(&format!("{rpc}.closed")).await;
        assert_eq!(all(&service, rpc, json!({ "count": 2 })).await.0.len(), 2);
    }
    assert_eq!([service.workers("streamer"), service.workers("plain")], workers);
    service.stop().await;
}

#[tokio::test]
async fn deadlines_end_streams() {
    let service = start().await;
    let mut request = Request::new(json!({ "name": "held", "count": 1, "then": "hold" }));
    request.set_timeout(Duration::from_millis(500));
    let (found, ended) = service.client().stream_by("Stream", request).await.unwrap().rest().await;
    assert_eq!(found.len(), 1);
    assert_failed(ended, Code::DeadlineExceeded, "no answer within 0.5 s");
    service.scratch.wait("held.closed").await;
    service.stop().await;
}

#[tokio::test]
async fn deadlines_end_streams_that_nobody_reads() {
    let service = Krt::run("streams").env("KRT_REQUEST_TIMEOUT", "0.5").start().await;
    for rpc in ["Stream", "Plain"] {
        let slow = open(&service, rpc, json!({ "name": rpc, "count": MESSAGES, "size": LARGE })).await;
        service.scratch.wait(&format!("{rpc}.closed")).await;
        let (found, ended) = slow.rest().await;
        assert!(found.len() < MESSAGES, "{}", found.len());
        assert_failed(ended, Code::DeadlineExceeded, "no answer within 0.5 s");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_slow_client_holds_its_handler_back() {
    let service = start().await;
    let order = json!({ "name": "slow", "count": MESSAGES, "size": LARGE });
    let mut slow = open(&service, "Stream", order).await;
    slow.next().await.unwrap();
    // The only worker is busy with a stream that nobody reads.
    let within = Duration::from_millis(500);
    let mut other = Request::new(json!({ "count": 1 }));
    other.set_timeout(within);
    let waited = match service.client().stream_by("Stream", other).await {
        Ok(answers) => answers.rest().await.1,
        Err(status) => Err(status),
    };
    assert_failed(waited, Code::DeadlineExceeded, "no answer within 0.5 s");
    let sent = count(&service, "slow", "sent");
    assert!(sent < MESSAGES / 2, "{sent}");
    let (rest, ended) = slow.rest().await;
    assert_eq!(numbers(&rest), (1..MESSAGES as i64).collect::<Vec<_>>());
    ended.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn earlier_nodes_send_messages_too() {
    let service = start().await;
    let (found, ended) = all(&service, "Chain", json!({ "count": 2 })).await;
    assert_eq!((texts(&found), numbers(&found)), (vec!["first", "", ""], vec![0, 0, 1]));
    ended.unwrap();
    for (before, expected) in [("exit", vec!["first", "last"]), ("end", vec!["first"])] {
        let (found, ended) = all(&service, "Chain", json!({ "count": 2, "before": before })).await;
        assert_eq!(texts(&found), expected);
        ended.unwrap();
    }
    service.stop().await;
}

#[tokio::test]
async fn an_early_reply_ends_a_stream_and_the_workflow_goes_on() {
    let service = start().await;
    let order = json!({ "name": "before", "count": 100, "before": "reply" });
    let (found, ended) = all(&service, "Chain", order).await;
    assert_eq!(texts(&found), ["first", "soon"]);
    ended.unwrap();
    service.scratch.wait("before.closed").await;
    assert_eq!(count(&service, "before", "sent"), 100);

    let (found, ended) =
        all(&service, "Stream", json!({ "name": "within", "count": 1, "then": "reply" })).await;
    assert_eq!(texts(&found), ["", "soon"]);
    ended.unwrap();
    service.scratch.put("within");
    service.scratch.wait("within.closed").await;
    service.stop().await;
}

#[tokio::test]
async fn an_rpc_with_one_answer_has_no_stream() {
    let service = start().await;
    let status = service.call("One", json!({ "count": 1 })).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(
        status.message().starts_with("error in 'plain': [ctx.send] the RPC has one answer; "),
        "{status}"
    );
    service.stop().await;
}

#[tokio::test]
async fn a_stop_waits_for_the_end_of_streams() {
    let service = start().await;
    let mut held = open(&service, "Stream", json!({ "name": "a", "count": 1, "then": "hold" })).await;
    held.next().await.unwrap();
    service.scratch.wait("a.begun").await;
    service.signal(rustix::process::Signal::TERM);
    service.lines.wait("the drain", |record| record.message.starts_with("stopping: ")).await;
    service.scratch.put("a");
    let (found, ended) = held.rest().await;
    assert_eq!(texts(&found), ["held"]);
    ended.unwrap();
    assert_eq!(service.end().await.code, Some(0));
}

#[tokio::test]
async fn each_request_has_one_record() {
    let service = start().await;
    all(&service, "Stream", json!({ "count": 3 })).await.1.unwrap();
    all(&service, "Stream", json!({ "count": 2, "then": "fail" })).await.1.unwrap_err();
    all(&service, "Stream", json!({})).await.1.unwrap();
    let ended = service.stop().await;
    let found = ended.reader().requests(&RequestFilter::default(), RequestOrder::Latest, 10).unwrap();
    let mut records: Vec<_> = found.iter().collect();
    records.sort_by_key(|record| record.start);
    let ends: Vec<_> = records
        .iter()
        .map(|record| {
            let StreamedAnswer { messages, first } = record.stream.unwrap();
            assert!(first.is_none_or(|first| first > 0 && first <= record.elapsed));
            (record.ending, messages, first.is_some(), record.hops.len())
        })
        .collect();
    assert_eq!(
        ends,
        [(Ending::Answered, 3, true, 1), (Ending::Failed, 2, true, 1), (Ending::Answered, 0, false, 1)]
    );
}

/// Splits a body of the Connect protocol into its messages, with their flags.
fn envelopes(reply: &Reply) -> Vec<(u8, Value)> {
    let (mut found, mut rest) = (Vec::new(), &reply.body[..]);
    while let Some((head, more)) = rest.split_first_chunk::<5>() {
        let size = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        let (message, after) = more.split_at(size);
        found.push((head[0], serde_json::from_slice(message).unwrap()));
        rest = after;
    }
    assert!(rest.is_empty());
    found
}

#[tokio::test]
async fn connect_clients_get_streams() {
    let service = start().await;
    let http = service.http();
    let json = [("content-type", "application/connect+json"), ("connect-protocol-version", "1")];
    let call = async |body: &Value| {
        let body = body.to_string();
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        let framed = [&[0][..], &size, body.as_bytes()].concat();
        let reply = http.post("/streams.Entrypoint/Stream", &json, framed).await;
        assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, json[0].1));
        envelopes(&reply)
    };
    assert_eq!(
        call(&json!({ "count": 2 })).await,
        [(0, json!({})), (0, json!({ "number": 1 })), (2, json!({}))]
    );
    let error = json!({ "error": { "code": "internal", "message": "error in 'streamer': no more" } });
    assert_eq!(call(&json!({ "count": 1, "then": "fail" })).await, [(0, json!({})), (2, error.clone())]);
    assert_eq!(call(&json!({ "then": "fail" })).await, [(2, error)]);
    let unary = http.post("/streams.Entrypoint/One", &json, "").await;
    assert_eq!(unary.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    service.stop().await;
}

#[tokio::test]
async fn browsers_get_events() {
    let service = start().await;
    let http = service.http();
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let path = "/streams.Entrypoint/Stream";
    let fails = json!({ "count": 1, "then": "fail" }).to_string();
    let reply = http.post(path, &headers, fails).await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, "text/event-stream"));
    assert_eq!(reply.header("cache-control"), "no-store");
    let expected = "data: {}\n\nevent: status\ndata: {\"code\":\"internal\",\"message\":\"error in 'streamer': no more\"}\n\n";
    assert_eq!(reply.body, expected);

    let query = "/streams.Entrypoint/Data?encoding=json&message=%7B%22count%22%3A2%7D";
    let reply = http.send(Method::GET, query, &headers[1..], "").await;
    assert_eq!(reply.body, "data: {}\n\ndata: {\"number\":1}\n\nevent: status\ndata: {\"code\":\"ok\"}\n\n");

    let reply = http.post(path, &headers, json!({ "then": "fail" }).to_string()).await;
    assert_eq!(reply.expect(StatusCode::INTERNAL_SERVER_ERROR)["code"], "internal");
    let reply = http.post(path, &headers[..1], "{}").await;
    let message = "the answer of `/streams.Entrypoint/Stream` is a stream; hint: send JSON with the header `accept: \
                   text/event-stream`, or `content-type: application/connect+json`";
    assert_eq!(reply.expect(StatusCode::BAD_REQUEST)["message"], message);

    let held = json!({ "name": "a", "count": 1, "then": "hold" }).to_string();
    let mut live = http.open_by(Method::POST, path, &headers, held.into()).await;
    live.until("data: {}\n\n").await;
    service.scratch.wait("a.begun").await;
    service.scratch.put("a");
    assert!(
        live.end().await.ends_with("data: {\"text\":\"held\"}\n\nevent: status\ndata: {\"code\":\"ok\"}\n\n")
    );
    service.stop().await;
}

/// The data of the events with this name.
fn events<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let head = format!("event: {name}\ndata: ");
    text.split("\n\n").filter_map(|event| event.strip_prefix(&head)).collect()
}

#[tokio::test]
async fn the_dashboard_calls_message_by_message() {
    let package = krt::packages().join("streams");
    let service = Krt::run_with_dashboard(&package).start().await;
    let http = dashboard(&service).await;
    let json = [("content-type", "application/json")];
    let version = "/api/v1/runtimes/streams-v1/versions/streams-v1";
    let open = async |rpc: &str, order: Value| {
        let call = json!({ "method": format!("/streams.Entrypoint/{rpc}"), "message": order }).to_string();
        http.open_by(Method::POST, &format!("{version}/call/live"), &json, call.into()).await
    };
    let all = async |rpc: &str, order: Value| {
        let text = open(rpc, order).await.end().await;
        let messages: Vec<Value> =
            events(&text, "message").iter().map(|message| serde_json::from_str(message).unwrap()).collect();
        let [status] = events(&text, "status")[..] else { panic!("one status: {text}") };
        let status: CallResult = serde_json::from_str(status).unwrap();
        let ids = status.request.iter().map(|id| json!(id).to_string()).collect::<Vec<_>>();
        assert_eq!(events(&text, "request"), ids, "{text}");
        (messages, status)
    };
    let methods = http.send(Method::GET, &format!("{version}/methods"), &[], "").await;
    let methods: Methods = methods.read(StatusCode::OK);
    let streams: Vec<_> =
        methods.methods.iter().filter(|method| method.streams).map(|one| &*one.name).collect();
    assert_eq!(streams, ["Stream", "Plain", "Chain", "Data"]);

    let (messages, answered) = all("Stream", json!({ "count": 3 })).await;
    assert_eq!((numbers(&messages), &*answered.code), (vec![0, 1, 2], "OK"));
    let (messages, failed) = all("Stream", json!({ "count": 1, "then": "fail" })).await;
    assert_eq!((messages.len(), &*failed.code), (1, "INTERNAL"));
    assert_eq!(failed.message.as_deref(), Some("error in 'streamer': no more"));
    let (messages, wrong) = all("Stream", json!({ "count": "many" })).await;
    assert_eq!((messages.len(), &*wrong.code, wrong.request), (0, "INVALID_ARGUMENT", None));
    let (messages, one) = all("One", json!({ "count": 1 })).await;
    assert_eq!((messages.len(), &*one.code), (0, "INTERNAL"));

    let shown = async |id: &str| {
        let path = format!("/api/v1/runtimes/streams-v1/requests/{id}");
        http.send(Method::GET, &path, &[], "").await.read::<RequestDetail>(StatusCode::OK).request
    };
    let request = shown(answered.request.as_deref().unwrap()).await;
    let stream = request.stream.unwrap();
    assert_eq!(stream.messages, 3);
    assert!(stream.first_ms.unwrap() <= request.elapsed_ms);
    assert_eq!(shown(one.request.as_deref().unwrap()).await.stream, None);

    let mut held = open("Stream", json!({ "name": "held", "count": 1, "then": "hold" })).await;
    held.until("event: message").await;
    service.scratch.wait("held.begun").await;
    drop(held);
    service.scratch.wait("held.closed").await;
    let left = async || {
        let path = "/api/v1/runtimes/streams-v1/requests?ending=left";
        let page: RequestPage = http.send(Method::GET, path, &[], "").await.read(StatusCode::OK);
        page.requests.into_iter().next()
    };
    let left = eventually("the request that its client left is closed", left).await;
    assert_eq!(left.stream.unwrap().messages, 1);
    service.stop().await;
}

#[tokio::test]
async fn streams_come_from_other_engines_and_end_with_them() {
    for protocol in [WireProtocol::Core, WireProtocol::JetStream] {
        let options = NatsOptions { jetstream: true, ..NatsOptions::default() };
        let Some(server) = NatsServer::start("streams over NATS", options) else { return };
        let (url, package) = (server.url(), krt::packages().join("streams"));
        let start = |node| Krt::nodes(&[node], &package).nats(&url, protocol).take();
        let (first, streamer) = tokio::join!(start("first"), start("streamer"));
        let ingress = Krt::entrypoint(&package).nats(&url, protocol).start().await;
        let order = json!({ "count": MESSAGES });
        let chain = async || {
            let (found, ended) = all(&ingress, "Chain", order.clone()).await;
            ended.ok().map(|()| found)
        };
        let found = eventually("the ingress knows of the nodes", chain).await;
        assert_eq!(texts(&found[..1]), ["first"]);
        assert_eq!(numbers(&found[1..]), (0..MESSAGES as i64).collect::<Vec<_>>());

        let mut left = open(&ingress, "Stream", json!({ "name": "left", "count": 1, "then": "hold" })).await;
        left.next().await.unwrap();
        streamer.scratch.wait("left.begun").await;
        drop(left);
        streamer.scratch.wait("left.closed").await;

        let mut held = open(&ingress, "Stream", json!({ "name": "held", "count": 2, "then": "hold" })).await;
        for number in 0..2 {
            assert_eq!(numbers(&[held.next().await.unwrap().unwrap()]), [number], "{protocol:?}");
        }
        streamer.signal(rustix::process::Signal::KILL);
        let (found, ended) = held.rest().await;
        assert_eq!(found, Vec::<Value>::new(), "{protocol:?}");
        assert_failed(ended, Code::Unavailable, "the engine that sent the answer has ended");
        streamer.end().await;
        first.stop().await;
        ingress.stop().await;
    }
}
