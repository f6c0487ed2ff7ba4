//! The status for the client in each situation (docs/reference/krt-v1.md#entrypoint).

use crate::support::{
    Krt, Service, assert_status, eventually, krt::test_broker, lines::Record, runners::WireProtocol,
};
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tonic::{Code, Request};

fn way(way: &str) -> Value {
    json!({ "way": way })
}

/// Begins a call whose handler waits for a file from the test.
async fn begin(service: &Service, rpc: &'static str, file: &str, way: &str) -> Call {
    let (client, request) = (service.client(), json!({ "way": way, "text": file }));
    let call = tokio::spawn(async move { client.call(rpc, request).await });
    service.scratch.wait(&format!("{file}.begun")).await;
    call
}

type Call = tokio::task::JoinHandle<Result<Value, tonic::Status>>;

#[tokio::test]
async fn a_handler_answers() {
    let service = Krt::run("statuses").start().await;
    let answer = service.call("Act", json!({ "way": "answer", "text": "fine" })).await.unwrap();
    assert_eq!(answer["text"], "fine");
    service.stop().await;
}

#[tokio::test]
async fn failed_handlers_are_internal_errors_with_their_message() {
    let service = Krt::run("statuses").start().await;
    let rows = [
        (json!({ "way": "fail", "text": "no price" }), "no price"),
        (json!({ "way": "fail", "text": "naïve\nsecond line ☃" }), "naïve\nsecond line ☃"),
        (way("fail_silently"), "KeyError"),
        (way("none"), "the handler returned no message"),
        (json!({ "way": "leave", "number": 3 }), "the handler called sys.exit(3)"),
        (
            json!({ "way": "no_message", "text": "x" }),
            "a protobuf message was expected, not {'text': 'x'} of type `builtins.dict`; hint: give the node \
             `payload: json` in krt.yml to work with plain data",
        ),
    ];
    for (request, words) in rows {
        let answer = service.call("Act", request).await;
        assert_status(answer, Code::Internal, &format!("error in 'worker': {words}"));
    }
    service.call("Act", way("answer")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn client_deadlines_cancel_the_handler() {
    let service = Krt::run("statuses").start().await;
    let request = json!({ "way": "wait", "text": "never" });
    let status = service.call_within(Duration::from_millis(300), "Act", request).await.unwrap_err();
    assert_late(&status, 0.3);
    service.scratch.wait("never.cancelled").await;
    service.call("Act", way("answer")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn service_timeouts_cancel_the_handler() {
    let service = Krt::run("statuses").env("KRT_REQUEST_TIMEOUT", "0.3").start().await;
    let status = service.call("Act", json!({ "way": "wait", "text": "never" })).await.unwrap_err();
    assert_late(&status, 0.3);
    service.scratch.wait("never.cancelled").await;
    let longer = service.call_within(
        Duration::from_secs(3600),
        "Act",
        json!({ "way": "wait", "text": "never again" }),
    );
    assert_late(&longer.await.unwrap_err(), 0.3);
    service.stop().await;
}

/// Asserts that the deadline has passed, and that the message contains its length.
#[track_caller]
fn assert_late(status: &tonic::Status, seconds: f64) {
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert_eq!(status.message(), format!("no answer within {seconds} s"));
}

#[tokio::test]
async fn node_timeouts_end_only_their_request() {
    let service = Krt::run("statuses").start().await;
    let message = "the handler of node 'hasty' took longer than the node's timeout";
    let answer = service.call("Hasty", json!({ "way": "wait", "text": "never" })).await;
    assert_status(answer, Code::DeadlineExceeded, message);
    service.scratch.wait("never.cancelled").await;
    service.call("Hasty", way("answer")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn uncancellable_handlers_are_killed() {
    let service = Krt::run("statuses").start().await;
    let deadline = Duration::from_millis(300);
    let answer = service.call_within(deadline, "Act", json!({ "way": "spin", "text": "spin" })).await;
    assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
    let died = service.lines.wait("the end of the busy process", |record| {
        record.is("worker", "its process died: it kept working on a cancelled request")
    });
    died.await;
    recovered(&service, "Act").await;
    service.stop().await;
}

#[tokio::test]
async fn cancelled_requests_stop_the_handler() {
    let service = Krt::run("statuses").start().await;
    let call = begin(&service, "Act", "left", "wait").await;
    call.abort();
    service.scratch.wait("left.cancelled").await;
    service.stop().await;
}

#[tokio::test]
async fn full_queues_refuse_requests() {
    let service = Krt::run("statuses").flag("--max-requests", "2").start().await;
    let first = begin(&service, "Act", "first", "wait").await;
    let second = begin(&service, "Steady", "second", "wait").await;
    let refused = service.call("Act", way("answer")).await;
    assert_status(refused, Code::ResourceExhausted, "the queue is full: 2 requests are in flight");
    service.scratch.put("first");
    service.scratch.put("second");
    assert_eq!(first.await.unwrap().unwrap()["text"], "first");
    assert_eq!(second.await.unwrap().unwrap()["text"], "second");
    service.call("Act", way("answer")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn too_many_bytes_in_flight_are_refused() {
    let service = Krt::run("statuses").flag("--max-bytes", "16KiB").start().await;
    let of = |size: usize| json!({ "way": "answer", "text": "x".repeat(size) });
    let message = "no room for the message: requests in flight may hold 16384 bytes; \
                   hint: try again, or raise --max-bytes";
    for size in [20_000, 10_000] {
        // The second request is read, but no memory is left for its message.
        let refused = service.call("Act", of(size)).await;
        assert_status(refused, Code::ResourceExhausted, message);
    }
    // Over NATS, this process, which is both the entrypoint and the node, holds the message twice.
    let small = if test_broker().is_some() { 1000 } else { 4000 };
    service.call("Act", of(small)).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_node_that_is_down_is_unavailable() {
    let krt = Krt::run("phoenix");
    krt.scratch().put("go");
    let service = krt.start().await;
    std::fs::remove_file(service.scratch.path().join("go")).unwrap();
    let died = service.call("Run", json!({ "text": "die" })).await;
    assert_status(
        died,
        Code::Internal,
        "node 'phoenix' died while it handled the request: it exited with status 7",
    );
    service.scratch.wait("start.2").await;
    let down = service.call("Run", json!({})).await;
    assert_status(down, Code::Unavailable, "node 'phoenix' is down: it is being restarted");
    service.call("Calm", json!({})).await.expect("other workflows go on");
    service.scratch.put("go");
    service.lines.wait("the restart", |record| record.is("phoenix", "up again")).await;
    service.call("Run", json!({})).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn node_deaths_are_reported_at_once() {
    let service = Krt::run("statuses").start().await;
    let rows = [
        (way("die"), "killed by signal 9 (SIGKILL)"),
        (json!({ "way": "exit", "number": 0 }), "it exited with status 0"),
        (json!({ "way": "exit", "number": 3 }), "it exited with status 3"),
        (way("crash"), "killed by signal 11 (SIGSEGV, a crash in native code)"),
    ];
    for (request, how) in rows {
        let begun = Instant::now();
        let answer = service.call("Act", request).await;
        let elapsed = begun.elapsed();
        assert_status(
            answer,
            Code::Internal,
            &format!("node 'worker' died while it handled the request: {how}"),
        );
        assert!(elapsed < Duration::from_secs(5), "it took {elapsed:?}, the request's timeout is 30 s");
        recovered(&service, "Act").await;
    }
    service.stop().await;
}

#[tokio::test]
async fn retries_answer_after_a_node_died() {
    let service = Krt::run("statuses").start().await;
    let [before] = service.workers("steady")[..] else { panic!("one process runs the node") };
    let answer = service.call("Steady", json!({ "way": "die_once", "text": "once" })).await.unwrap();
    assert_eq!(answer["text"], "once");
    assert_ne!(answer["process"], before);
    let again = service.call("Steady", way("die")).await;
    let message = "node 'steady' died while it handled the request: killed by signal 9 (SIGKILL)";
    assert_status(again, Code::Internal, message);
    service.stop().await;
}

#[tokio::test]
async fn messages_not_started_by_a_dead_node() {
    // In a stream, messages wait until the node has restarted.
    let direct = match test_broker() {
        Some(WireProtocol::JetStream) => Ok("waited"),
        _ => Err((Code::Unavailable, "node 'worker' is down: it is being restarted")),
    };
    for (rpc, expected) in [("Direct", direct), ("Steady", Ok("waited"))] {
        let service = Krt::run("statuses").start().await;
        let dying = begin(&service, rpc, "now", "wait_and_die").await;
        let waiting: Vec<Call> = (0..4)
            .map(|_| {
                let (client, request) = (service.client(), json!({ "way": "answer", "text": "waited" }));
                tokio::spawn(async move { client.call(rpc, request).await })
            })
            .collect();
        // Once this last request has been abandoned, the others are in the queue.
        let leaving = service.call_within(Duration::from_millis(500), rpc, way("answer")).await;
        assert_eq!(leaving.unwrap_err().code(), Code::DeadlineExceeded);
        service.scratch.put("now");
        let died = dying.await.unwrap().unwrap_err();
        assert_eq!(died.code(), Code::Internal, "{died}");
        for call in waiting {
            let answer = call.await.unwrap();
            let text = answer.as_ref().map(|answer| answer["text"].as_str().unwrap());
            assert_eq!(text.map_err(|status| (status.code(), status.message())), expected);
        }
        recovered(&service, rpc).await;
        service.stop().await;
    }
}

#[tokio::test]
async fn oversized_answers_name_size_and_limit() {
    let service = Krt::run("statuses").flag("--max-message", "64KiB").start().await;
    // Field 1, its length in three bytes, and its content.
    let (limit, head) = (64 << 10, 4);
    let content = limit - head;
    let fits = service.call("Act", json!({ "way": "large", "number": content })).await.unwrap();
    assert_eq!(fits["text"].as_str().unwrap().len(), content);
    for more in [1, 1 << 20] {
        let large = service.call("Act", json!({ "way": "large", "number": content + more })).await;
        let message = format!("the answer of node 'worker' has {} bytes, the limit is {limit}", limit + more);
        assert_status(large, Code::ResourceExhausted, &message);
    }
    service.call("Act", way("answer")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn answers_of_the_wrong_type_name_both_types() {
    let service = Krt::run("statuses").start().await;
    let message = "node 'worker' answered with a statuses.Order, but the RPC returns statuses.Answer";
    assert_status(service.call("Act", way("other_type")).await, Code::Internal, message);
    service.stop().await;
}

#[tokio::test]
async fn unknown_methods() {
    let service = Krt::run("statuses").start().await;
    let client = service.client();
    let act = client.method("Act");
    for path in ["/statuses.Entrypoint/Nothing", "/statuses.Nobody/Act", "/Act", "/grpc.nobody.v1/Act"] {
        let request = Request::new(DynamicMessage::new(act.input()));
        let status = client.call_path(path, request, act.output()).await.unwrap_err();
        let hint = "hint: `/package.Service/Method`, as in the entrypoint's .proto";
        let message = format!("there is no method `{path}`; {hint}");
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, &*message));
    }
    let idle = service.call("Idle", json!({})).await;
    let message = "no workflow of this version implements `/statuses.Entrypoint/Idle`";
    assert_status(idle, Code::Unimplemented, message);
    service.stop().await;
}

/// Waits until the RPC answers again.
pub(crate) async fn recovered(service: &Service, rpc: &str) {
    eventually("the node answers again", async || match service.call(rpc, way("answer")).await {
        Ok(_) => Some(()),
        Err(status) => {
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            None
        }
    })
    .await;
}

#[tokio::test]
async fn long_errors_are_cut_for_clients_but_not_in_the_log() {
    let service = Krt::run("statuses").start().await;
    for letter in ["x", "é", "☃", " "] {
        let text = format!("{}.", letter.repeat(60_000));
        let request = json!({ "way": "fail", "text": text });
        let status = service.call("Act", request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        let mark =
            format!("... (cut: it has {} bytes, see the log)", text.len() + "error in 'worker': ".len());
        let kept = status.message().strip_suffix(&mark).unwrap_or_else(|| panic!("{}", status.message()));
        let kept = kept.strip_prefix("error in 'worker': ").unwrap();
        let encoded = if letter == "x" { 1 } else { 3 * letter.len() };
        assert!(kept.chars().all(|found| letter.starts_with(found)), "{kept}");
        assert!((5 << 10..7 << 10).contains(&(kept.chars().count() * encoded)), "it fills the headers");
        let whole = |record: &Record| record.level == "ERROR" && record.message.contains(&text);
        service.lines.wait("the whole text", whole).await;
        let path = format!("/{}/Act", service.client().method("Act").parent_service().full_name());
        let reply = service.http().post_json(&path, &request).await;
        let error = reply.expect(http::StatusCode::INTERNAL_SERVER_ERROR);
        let message = error["message"].as_str().unwrap();
        assert!(message.len() <= 64 << 10 && message.starts_with("error in 'worker': "), "{}", message.len());
    }
    service.stop().await;
}
