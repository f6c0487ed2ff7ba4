//! Every way in which a request can end.

use super::{Language, act};
use crate::support::{Copy, Krt, Service, assert_status};
use futures::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use tonic::{Code, Status};

type Call = tokio::task::JoinHandle<Result<Value, Status>>;

/// Begins a call whose handler waits for a file from the test.
async fn begin(service: &Service, rpc: &'static str, file: &str) -> Call {
    let (client, request) = (service.client(), json!({ "act": "wait", "text": file }));
    let call = tokio::spawn(async move { client.call(rpc, request).await });
    service.scratch.wait(&format!("{file}.begun")).await;
    call
}

async fn recovered(service: &Service, rpc: &str) {
    let again = async || service.call(rpc, json!({ "act": "echo" })).await.ok();
    crate::support::eventually("the node answers again", again).await;
}

pub(super) async fn a_failing_init_fails_the_start(language: &Language) {
    let ended = language.krt().env("FAIL_INIT", "1").end().await;
    assert_eq!(ended.code, Some(1));
    let error = ended.lines.last_message();
    let (words, place) = language.init_failure;
    assert!(error.contains(&format!("node `worker` does not start: {words}")), "{error}");
    assert!(error.contains(place), "{error}");
    assert!(!error.contains("node 'last'"), "{error}");
}

pub(super) async fn a_sample_that_fails_fails_the_start(language: &Language) {
    let package = Copy::of(&format!("conformance/{}", language.name));
    package.edit("krt.yml", "  - name: worker\n", "  - name: worker\n    warmup: samples.jsonl\n");
    let samples = "{\"act\": \"measure\"}\n{\"act\": \"fail\", \"text\": \"not that\"}\n";
    std::fs::write(package.path().join("samples.jsonl"), samples).unwrap();
    let ended = Krt::run_at(package.path()).spawn().end().await;
    let text = ended.lines.text();
    assert_eq!(ended.code, Some(1), "{text}");
    let failed = "the sample in line 2 of `samples.jsonl` failed: ";
    assert!(text.contains(failed) && text.contains("not that"), "{text}");
}

pub(super) async fn errors_and_panics_are_errors_of_the_request(language: &Language) {
    let service = language.start().await;
    let process = service.call("Alone", json!({ "act": "echo" })).await.unwrap()["process"].clone();
    let rows = [
        (json!({ "act": "fail", "text": "naïve\nno price ☃" }), "naïve\nno price ☃"),
        (act("fail"), language.silent_failure),
        (json!({ "act": "panic", "text": "no model" }), language.panic),
        (act("none"), "the handler returned no message"),
        (act("no such"), "there is no act `no such`"),
    ];
    let own = language.own_failures.iter().map(|(name, words)| (act(name), *words));
    for (request, words) in rows.into_iter().chain(own) {
        let answer = service.call("Alone", request).await;
        assert_status(answer, Code::Internal, &format!("error in 'worker': {words}"));
    }
    let after = service.call("Alone", json!({ "act": "echo" })).await.unwrap();
    assert_eq!(after["process"], process, "the process lives on");
    let ended = service.stop().await;
    let (start, place) = language.stack;
    let records = ended.lines.records();
    let stack =
        records.iter().find(|record| record.message.starts_with(start) && record.message.contains(place));
    let stack = stack.unwrap_or_else(|| panic!("the stack is logged: {records:#?}"));
    assert!(stack.request.is_some() && stack.level == "ERROR", "{stack:?}");
}

pub(super) async fn invalid_answers(language: &Language) {
    let service = language.krt().flag("--max-message", "1MiB").start().await;
    let large = service.call("Alone", json!({ "act": "large", "number": 2 << 20 })).await.unwrap_err();
    assert_eq!(large.code(), Code::ResourceExhausted, "{large}");
    assert!(large.message().contains("1048576"), "{large}");
    let other = service.call("Alone", json!({ "act": "other_type" })).await;
    let message = "node 'worker' answered with a conformance.Order, but the RPC returns conformance.Answer";
    assert_status(other, Code::Internal, message);
    service.stop().await;
}

pub(super) async fn streams_end_after_their_messages(language: &Language) {
    let service = language.start().await;
    for (number, text) in [(0, ""), (0, "last"), (100, ""), (100, "last"), (3, "fail")] {
        let order = json!({ "act": "stream", "number": number, "text": text });
        let (messages, ended) = service.client().stream("Stream", order).await.unwrap().rest().await;
        let numbers = (0..number).map(|number| number.to_string());
        let expected: Vec<_> = numbers.chain((text == "last").then(|| "last".to_owned())).collect();
        let texts: Vec<_> = messages.iter().map(|message| message["text"].as_str().unwrap()).collect();
        assert_eq!(texts, expected, "{text}");
        match text {
            "fail" => {
                assert_status(ended.map(|()| Value::Null), Code::Internal, "error in 'worker': no more");
            }
            _ => ended.unwrap(),
        }
    }
    let one = service.call("Alone", json!({ "act": "stream", "number": 1 })).await.unwrap_err();
    assert!(one.message().contains("the RPC has one answer"), "{one}");
    service.stop().await;
}

pub(super) async fn a_client_that_leaves_ends_a_stream(language: &Language) {
    let service = language.start().await;
    let process = service.call("Alone", act("echo")).await.unwrap()["process"].clone();
    let endless = json!({ "act": "stream", "number": i32::MAX });
    let mut left = service.client().stream("Stream", endless).await.unwrap();
    left.next().await.unwrap();
    drop(left);
    let after = service.call("Alone", act("echo")).await.unwrap();
    assert_eq!(after["process"], process, "the process lives on");
    service.stop().await;
}

pub(super) async fn messages_of_a_mebibyte(language: &Language) {
    let service = language.start().await;
    let blob = "QUJD".repeat((1 << 20) / 3);
    let calls = (0..8).map(|_| service.call("Act", json!({ "act": "echo", "blob": blob })));
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap()["blob"], blob);
    }
    service.stop().await;
}

pub(super) async fn dying_processes(language: &Language) {
    let service = language.start().await;
    for (request, how) in [
        (json!({ "act": "die" }), "killed by signal 9 (SIGKILL)"),
        (json!({ "act": "exit_process", "number": 3 }), "it exited with status 3"),
        (act(language.crash.0), language.crash.1),
    ] {
        let message = format!("node 'worker' died while it handled the request: {how}");
        assert_status(service.call("Alone", request).await, Code::Internal, &message);
        recovered(&service, "Alone").await;
    }
    let answer = service.call("Steady", json!({ "act": "die_once", "text": "died" })).await.unwrap();
    assert_eq!(answer["text"], "died", "it was given to another process");
    service.stop().await;
}

pub(super) async fn a_killed_worker_costs_only_the_request_in_flight(language: &Language) {
    let service = language.start().await;
    let first = begin(&service, "Alone", "never").await;
    let waiting: Vec<Call> = (0..5)
        .map(|_| {
            let client = service.client();
            tokio::spawn(
                async move { client.call("Alone", json!({ "act": "echo", "text": "waited" })).await },
            )
        })
        .collect();
    let [worker] = service.workers("worker")[..] else { panic!("one process runs the node") };
    crate::support::processes::signal(worker, Signal::KILL);
    let message = "node 'worker' died while it handled the request: killed by signal 9 (SIGKILL)";
    assert_status(first.await.unwrap(), Code::Internal, message);
    for call in waiting {
        match call.await.unwrap() {
            Ok(answer) => assert_eq!(answer["text"], "waited"),
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
        }
    }
    service.stop().await;
}

pub(super) async fn slow_and_silent_handlers(language: &Language) {
    let service = language.start().await;
    let hasty = service.call("Hasty", json!({ "act": "watch", "text": "hasty" })).await;
    let message = "the handler of node 'hasty' took longer than the node's timeout";
    assert_status(hasty, Code::DeadlineExceeded, message);
    service.scratch.wait("hasty.cancelled").await;

    let watching = json!({ "act": "watch", "text": "watching" });
    let late = service.call_within(Duration::from_millis(300), "Alone", watching).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    service.scratch.wait("watching.cancelled").await;
    service.call("Alone", json!({ "act": "echo" })).await.unwrap();

    let silent = json!({ "act": "block", "text": "silent" });
    let late = service.call_within(Duration::from_millis(300), "Alone", silent).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    let died = "its process died: it kept working on a cancelled request";
    service.lines.wait("the end of the silent process", |record| record.is("worker", died)).await;
    recovered(&service, "Alone").await;
    service.stop().await;
}

pub(super) async fn a_flood_of_records_is_logged_or_counted(language: &Language) {
    let service = language.start().await;
    let request = json!({ "act": "speak", "number": 50_000 });
    assert_eq!(service.call("Alone", request).await.unwrap()["text"], "spoken");
    assert_eq!(service.call("Alone", json!({ "act": "echo", "text": "on" })).await.unwrap()["text"], "on");
    service.stop().await;
}

pub(super) async fn the_default_concurrency_is_one(language: &Language) {
    let service = language.start().await;
    let first = begin(&service, "Alone", "first").await;
    let client = service.client();
    let second = json!({ "act": "wait", "text": "second" });
    let second = tokio::spawn(async move { client.call("Alone", second).await });
    let mut crowd = Vec::new();
    for file in ["a", "b", "c", "d"] {
        crowd.push(begin(&service, "Crowd", file).await);
    }
    assert!(!service.scratch.path().join("second.begun").exists());
    for file in ["a", "b", "c", "d", "first", "second"] {
        service.scratch.put(file);
    }
    for call in crowd.into_iter().chain([first, second]) {
        call.await.unwrap().unwrap();
    }
    service.stop().await;
}

/// Starts a program with all signals blocked. A shell ignores some for what it starts in the background.
const BLOCKS: &str = "import os, signal, sys
for number in (signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execvp(sys.argv[1], sys.argv[1:])";

pub(super) async fn children_of_a_handler_end_by_signals(language: &Language) {
    let service = language.krt().started_by("python3", &["-c", BLOCKS]).start().await;
    for worker in service.workers("worker") {
        crate::support::processes::signal(worker, Signal::INT);
    }
    for (name, number) in [("INT", "2"), ("QUIT", "3"), ("PIPE", "13"), ("TERM", "15")] {
        let answer = service.call("Alone", json!({ "act": "child", "text": name })).await.unwrap();
        assert_eq!(answer["text"], number, "SIG{name} ends it");
    }
    service.stop().await;
}

pub(super) async fn ctrl_c_spares_workers_and_a_killed_engine_leaves_no_process(language: &Language) {
    let service = language.start().await;
    let call = begin(&service, "Alone", "waits").await;
    for worker in service.workers("worker") {
        crate::support::processes::signal(worker, Signal::INT);
    }
    service.scratch.put("waits");
    call.await.unwrap().unwrap();
    let busy = begin(&service, "Alone", "for ever").await;
    service.signal(Signal::KILL);
    assert_eq!(service.end().await.code, None);
    busy.await.unwrap().unwrap_err();
}
