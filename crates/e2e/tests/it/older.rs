//! Executables in real packages, built with an older runner: they speak NATS, MongoDB and InfluxDB
//! themselves, and `krt run` provides these servers.

mod servers;

use crate::support::{
    Krt, Service, eventually,
    krt::stdout_of,
    older::{Kind, package},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use tonic::Code;

/// Two executables before and after a Python node.
const MIXED: &[(&str, bool)] = &[("one", true), ("two", false), ("three", true)];

async fn ask(service: &Service, act: &str) -> Result<String, tonic::Status> {
    let answer = service.call("Act", json!({"text": "hi", "act": act})).await?;
    Ok(answer["text"].as_str().unwrap_or_default().to_owned())
}

/// The behaviour that both generations share.
async fn it_works(service: &Service) {
    for (act, expected) in [
        ("", "hi one two three"),
        ("one early_reply", "hi one early"),
        ("two early_reply", "hi one two early"),
        ("three early_reply", "hi one two three early"),
        ("three early_reply_and_none", "hi one two three early"),
        ("two early_exit", "hi one two"),
        ("one save", "hi one two three"),
        ("three save", "hi one two three"),
        ("three find", "hi one two three[{hi one} {hi one two three}]"),
        ("one measure", "hi one two three"),
    ] {
        assert_eq!(ask(service, act).await.unwrap(), expected, "{act}");
    }
    for (act, expected) in [
        ("one fail", "error in 'one': no: hi one"),
        ("three fail", "error in 'three': no: hi one two three"),
        ("one none", "error in 'one': the handler result is not a valid protobuf: nil"),
    ] {
        let status = ask(service, act).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Internal, expected));
    }
    let answer = service.call("Again", json!({"text": "hi"})).await.unwrap();
    assert_eq!(answer["text"], "hi one one two three one");
    let load = json!("QUFB".repeat(700_000));
    let answer = service.call("Act", json!({"text": "hi", "load": load})).await.unwrap();
    assert_eq!(answer["load"], load);
}

async fn it_is_stored(service: Service) {
    let ended = service.stop().await;
    let reader = ended.reader();
    let measured = format!("{:?}", reader.measurements().unwrap());
    for name in ["measured", "node_elapsed_time", "workflow_elapsed_time"] {
        assert!(measured.contains(name), "{measured}");
    }
    let collections = format!("{:?}", reader.collections().unwrap());
    assert!(collections.contains("orders"), "{collections}");
}

#[tokio::test(flavor = "multi_thread")]
async fn executables_over_core_run() {
    let package = package(Kind::Core, MIXED, "");
    let service = Krt::run_at(package.path()).start().await;
    it_works(&service).await;
    let printed = service.lines.wait("the level", |record| record.is("one", "init of one")).await;
    assert_eq!((&*printed.level, printed.workflow.is_some()), ("WARN", true), "{printed:?}");
    ask(&service, "three print").await.unwrap();
    let printed =
        service.lines.wait("its output", |record| record.is("three", "printed by the handler")).await;
    assert_eq!((printed.workflow.as_deref(), printed.request.is_some()), (Some("wire"), true), "{printed:?}");
    it_is_stored(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_describes_executables() {
    for (kind, words) in [
        (Kind::Core, "(kre-go v1.2.3): krt run provides NATS, MongoDB and InfluxDB for it"),
        (Kind::Stripped, "(kre-go v1.2.3): krt run provides NATS, MongoDB and InfluxDB for it"),
        (
            Kind::JetStream,
            "(kre-go v0.0.0-20220718093000-4829b1390428): krt run provides NATS with JetStream, MongoDB and InfluxDB",
        ),
    ] {
        let package = package(kind, MIXED, "");
        let json: Value = serde_json::from_str(&stdout_of(&["check"], package.path(), &["--json"])).unwrap();
        assert_eq!((&json["errors"], &json["warnings"]), (&json!(0), &json!(0)), "{json}");
        let problems = json["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 2, "{json}");
        for (problem, node) in problems.iter().zip(["one", "three"]) {
            let message = problem["message"].as_str().unwrap();
            assert_eq!(problem["severity"], "note");
            assert!(
                message.starts_with(&format!("node `{node}` is an executable of an older runner ")),
                "{message}"
            );
            assert!(message.contains(words), "{message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_dead_processes_are_answered_at_once() {
    let package = package(Kind::Core, MIXED, "");
    let service = Krt::run_at(package.path()).start().await;
    for node in ["one", "three"] {
        let status = ask(&service, &format!("{node} die")).await.unwrap_err();
        let words = format!("node '{node}' died while it handled the request: killed by signal 9 (SIGKILL)");
        assert_eq!((status.code(), status.message()), (Code::Internal, &*words));
        back(&service, node).await;
    }
    let answer = ask(&service, "one early_reply_and_die").await.unwrap();
    assert_eq!(answer, "hi one early");
    let failed = |record: &crate::support::lines::Record| {
        record.message.contains("the workflow failed after its early reply")
    };
    service.lines.wait("the failure", failed).await;
    back(&service, "one").await;
    service.stop().await;
}

/// Waits until the node answers again. Until then, calls fail because it is down.
async fn back(service: &Service, node: &str) {
    eventually("the node answers again", async || match ask(service, "").await {
        Ok(text) => {
            assert_eq!(text, "hi one two three");
            Some(())
        }
        Err(status) => {
            let words = format!("node '{node}' is down: it is being restarted");
            assert_eq!((status.code(), status.message()), (Code::Unavailable, &*words));
            None
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_down_until_it_takes_messages() {
    let package = package(Kind::Core, MIXED, "");
    let service = Krt::run_at(package.path()).start().await;
    service.scratch.put("hold");
    assert_eq!(ask(&service, "three die").await.unwrap_err().code(), Code::Internal);
    let status = ask(&service, "").await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "node 'three' is down: it is being restarted")
    );
    service.scratch.remove("hold");
    back(&service, "three").await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_handle_separate_messages() {
    let package = package(Kind::Core, &[("one", true)], ", replicas: 3");
    let service = Krt::run_at(package.path()).start().await;
    let first = async || ask(&service, "one pid").await.unwrap();
    let hanging = service.call_within(Duration::from_secs(5), "Act", json!({"act": "one hang"}));
    let others = async {
        let mut pids = Vec::new();
        for _ in 0..20 {
            pids.push(first().await);
        }
        pids
    };
    let (hanging, pids) = tokio::join!(hanging, others);
    assert_eq!(hanging.unwrap_err().code(), Code::DeadlineExceeded);
    assert!(pids.iter().all(|pid| pid.starts_with("one=")), "{pids:?}");
    // The one that goes on with what nobody waits for is replaced.
    let stuck =
        |record: &crate::support::lines::Record| record.is("one", "it kept working on a cancelled request");
    service.lines.wait("the end of the one that hangs", stuck).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_leaves_nothing_behind() {
    let package = package(Kind::Core, MIXED, "");
    let service = Krt::run_at(package.path()).start().await;
    let found = service.processes();
    assert!(found.len() > 5, "{found:?}");
    service.signal(Signal::KILL);
    // It waits until no process is left.
    assert_eq!(service.end().await.code, None);
}
