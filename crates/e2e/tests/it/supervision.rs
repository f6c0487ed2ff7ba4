//! The end of a service, and of its processes.

use crate::support::{Krt, Service, assert_status, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

/// Begins a call whose handler waits for the file `go` from the test.
async fn begin(service: &Service) -> JoinHandle<Result<Value, Status>> {
    let client = service.client();
    let call = async move { client.call("Act", json!({ "way": "wait", "text": "go" })).await };
    let call = tokio::spawn(call);
    service.scratch.wait("go.begun").await;
    call
}

/// Begins a call whose handler never ends, and waits until its child process is visible: the handler
/// continues a moment before the system shows that process's environment.
async fn begin_wild(service: &Service) -> (JoinHandle<Result<Value, Status>>, Vec<i32>) {
    let client = service.client();
    let call = tokio::spawn(async move { client.call("Run", json!({})).await });
    service.scratch.wait("begun").await;
    let both = async || Some(service.workers("wild")).filter(|workers| workers.len() == 2);
    (call, eventually("the handler, which never ends, has a child", both).await)
}

async fn draining(service: &Service) {
    service.lines.wait("the drain", |record| record.message == "stopping: requests in flight: 1").await;
}

#[tokio::test]
async fn sigterm_and_sigint_finish_requests_in_flight() {
    for signal in [Signal::TERM, Signal::INT] {
        let service = Krt::run("statuses").start().await;
        let call = begin(&service).await;
        service.signal(signal);
        draining(&service).await;
        let refused = service.call("Act", json!({ "way": "answer" })).await;
        assert_status(refused, Code::Unavailable, "the service is stopping");
        service.scratch.put("go");
        assert_eq!(call.await.unwrap().unwrap()["text"], "go");
        assert_eq!(service.end().await.code, Some(0));
    }
}

#[tokio::test]
async fn a_drain_has_a_deadline() {
    let service = Krt::run("statuses").flag("--drain", "0.2").start().await;
    let call = begin(&service).await;
    let ended = service.stop().await;
    let message = "not finished within 0.2 s and given up: requests in flight: 1";
    assert!(ended.lines.records().iter().any(|record| record.message == message), "{}", ended.lines.text());
    call.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let service = Krt::run("statuses").start().await;
    let call = begin(&service).await;
    service.signal(Signal::TERM);
    draining(&service).await;
    service.signal(Signal::TERM);
    assert_eq!(service.end().await.code, Some(130));
    call.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_killed_engine_leaves_no_process() {
    for package in ["wild", "statuses"] {
        let service = Krt::run(package).start().await;
        if package == "wild" {
            begin_wild(&service).await;
        }
        service.signal(Signal::KILL);
        assert_eq!(service.end().await.code, None);
    }
}

#[tokio::test]
async fn a_stop_ends_busy_handlers_and_their_children() {
    let service = Krt::run("wild").flag("--drain", "0.1").start().await;
    begin_wild(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn children_of_killed_workers_are_killed() {
    let service = Krt::run("wild").start().await;
    let [worker] = service.workers("wild")[..] else { panic!("one process runs the node") };
    let (call, before) = begin_wild(&service).await;
    crate::support::processes::signal(worker, Signal::KILL);
    let message = "node 'wild' died while it handled the request: killed by signal 9 (SIGKILL)";
    assert_status(call.await.unwrap(), Code::Internal, message);
    service.lines.wait("the restart", |record| record.is("wild", "up again")).await;
    let after = service.workers("wild");
    assert!(after.len() == 1 && !before.contains(&after[0]), "{before:?} {after:?}");
    service.stop().await;
}

#[tokio::test]
async fn crash_loops_are_reported() {
    let krt = Krt::run("phoenix");
    krt.scratch().put("go");
    let service = krt.start().await;
    service.scratch.put("crash");
    service.call("Run", json!({ "text": "die" })).await.unwrap_err();
    let died = "its process died: it exited with status 7";
    service.lines.wait("a death", |record| record.is("phoenix", died) && record.level == "ERROR").await;
    let message = "crash loop: died 5 times within a minute, next start in 0.8 s";
    service
        .lines
        .wait("a crash loop", |record| record.is("phoenix", message) && record.level == "ERROR")
        .await;
    service.stop().await;
}
