//! A worker that violates the node protocol: the engine ends it, without effect on other workers and
//! requests.

use crate::support::{Krt, Service, assert_status, eventually, processes};
use serde_json::json;
use tonic::Code;

/// The bound of the engine's memory, whatever a worker does.
const MEMORY: u64 = 256 << 20;

async fn start() -> Service {
    let krt = Krt::run("hostile").flag("--set", "AT_START=ready").flag("--max-message", "1MiB");
    krt.start().await
}

/// Calls the other node, which must be unaffected, and the hostile one until it has restarted.
async fn recovered(service: &Service) {
    let calm = service.call("Calm", json!({ "text": "calm" })).await;
    assert_eq!(calm.unwrap(), json!({ "text": "calm" }));
    let answer = eventually("the hostile node answers", async || {
        match service.call("Attack", json!({ "text": "none" })).await {
            Ok(answer) => Some(answer),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                None
            }
        }
    })
    .await;
    assert_eq!(answer, json!({ "text": "none" }));
    let held = processes::resident(service.pid());
    assert!(held < MEMORY, "the engine holds {held} bytes");
}

#[tokio::test]
async fn a_violation_ends_the_worker_and_its_request() {
    let service = start().await;
    let json = |kind| format!("the body of a frame of kind {kind} is not the JSON it should be: ");
    let rows = [
        ("huge size", "a frame of kind 66 has 4294967295 bytes, the limit is 1114112"),
        ("over the limit", "a frame of kind 66 has 1114113 bytes, the limit is 1114112"),
        ("huge log", "a frame of kind 68 has 1048577 bytes, the limit is 1048576"),
        ("size 0", "a frame's size is 0, the least is 5"),
        ("size 4", "a frame's size is 4, the least is 5"),
        ("unknown kind", "unknown frame kind 200"),
        ("engine's kind", "unknown frame kind 2"),
        ("unknown result", "RESULT names delivery 1002, which is not in flight"),
        ("result 0", "RESULT names delivery 0, which is not in flight"),
        ("status 9", "the body of a frame of kind 66 does not parse: its status is above 4"),
        ("short result", "the body of a frame of kind 66 does not parse: it is too short"),
        (
            "no any",
            "the body of a frame of kind 66 holds no message: the bytes are not a google.protobuf.Any: ",
        ),
        (
            "type is no text",
            "the body of a frame of kind 66 holds no message: the type of the google.protobuf.Any is not UTF-8",
        ),
        ("early reply for nobody", "EARLY_REPLY names delivery 1002, which is not in flight"),
        ("early reply of garbage", "the body of a frame of kind 67 holds no message: "),
        ("ready twice", "a second READY"),
        ("log of level 9", "the body of a frame of kind 68 does not parse: its level is above 4"),
        ("short log", "the body of a frame of kind 68 does not parse: it is too short"),
        ("garbage measurement", &json(69)),
        ("empty measurement", &json(69)),
        ("garbage save", &json(70)),
        ("garbage find", &json(71)),
        ("noise", "a frame of kind 47 has 542393671 bytes, the limit is 1048576"),
    ];
    recovered(&service).await;
    for (attack, violation) in rows {
        let status = service.call("Attack", json!({ "text": attack })).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{attack}: {status}");
        let start = "node 'hostile' died while it handled the request: it broke the node protocol: ";
        let message = status.message().strip_prefix(start).unwrap_or_else(|| panic!("{attack}: {status}"));
        let whole = message == violation || (violation.ends_with(": ") && message.starts_with(violation));
        assert!(whole, "{attack}: {message}");
        recovered(&service).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn ends_during_a_request_are_reported_with_their_cause() {
    let service = start().await;
    recovered(&service).await;
    let died = "node 'hostile' died while it handled the request: ";
    let rows = [
        ("cut short", "it exited with status 0"),
        ("leave", "it exited with status 3"),
        ("close", "killed by signal 9 (SIGKILL)"),
        ("broken", "killed by signal 9 (SIGKILL)"),
    ];
    for (attack, how) in rows {
        let answer = service.call("Attack", json!({ "text": attack })).await;
        assert_status(answer, Code::Internal, &format!("{died}{how}"));
        recovered(&service).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_second_result_ends_the_worker_but_the_first_counts() {
    let service = start().await;
    recovered(&service).await;
    let answer = service.call("Attack", json!({ "text": "result twice" })).await.unwrap();
    assert_eq!(answer, json!({ "text": "result twice" }));
    let violation =
        "its process died: it broke the node protocol: RESULT names delivery 2, which is not in flight";
    service.lines.wait("the violation", |record| record.is("hostile", violation)).await;
    recovered(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn oversized_answers_are_no_violation() {
    let service = start().await;
    let before = service.workers("hostile");
    let large = service.call("Attack", json!({ "text": "large answer" })).await;
    let message = "the answer of node 'hostile' has 1048580 bytes, the limit is 1048576";
    assert_status(large, Code::ResourceExhausted, message);
    recovered(&service).await;
    assert_eq!(service.workers("hostile"), before);
    service.stop().await;
}

#[tokio::test]
async fn floods_are_slowed_or_dropped_but_never_buffered() {
    let service = start().await;
    for attack in ["flood", "flood of output", "endless line", "log for nobody"] {
        let client = service.client();
        let call = tokio::spawn(async move { client.call("Attack", json!({ "text": attack })).await });
        let calm = service.call("Calm", json!({ "text": "calm" })).await.unwrap();
        assert_eq!(calm, json!({ "text": "calm" }), "{attack}");
        assert_eq!(call.await.unwrap().unwrap(), json!({ "text": attack }));
        recovered(&service).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn workers_that_do_not_become_ready() {
    let violation = "its process ended before it was ready: it broke the node protocol: ";
    let rows = [
        ("other protocol", format!("{violation}the worker speaks another version of the node protocol")),
        (
            "garbage ready",
            format!("{violation}the body of a frame of kind 64 is not the JSON it should be: "),
        ),
        ("result before ready", format!("{violation}RESULT names delivery 1, which is not in flight")),
        ("noise", format!("{violation}a frame of kind 47 has 542393671 bytes, the limit is 1048576")),
        ("broken", "too late".to_owned()),
        ("leave", "its process ended before it was ready: it exited with status 3".to_owned()),
        ("cut short", "its process ended before it was ready: it exited with status 0".to_owned()),
    ];
    for (attack, why) in rows {
        let ended = Krt::run("hostile").flag("--set", format!("AT_START={attack}")).end().await;
        assert_eq!(ended.code, Some(1), "{attack}");
        let error = ended.lines.last_message();
        let start = format!("node `hostile` does not start: {why}");
        assert!(error.starts_with(&start), "{attack}: {error}");
    }
}

#[tokio::test]
async fn a_worker_that_never_becomes_ready_can_be_stopped() {
    let process = Krt::run("hostile").flag("--set", "AT_START=silence").spawn();
    eventually("its worker is up", async || (!process.workers("hostile").is_empty()).then_some(())).await;
    process.stop().await;
}
