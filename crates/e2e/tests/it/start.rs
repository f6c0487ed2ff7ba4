//! Successful and failed starts of a version (docs/reference/krt-v1.md#nodes-in-python).

use crate::support::{Copy, Krt, assert_status, eventually, grpc::Client, krt::packages};
use serde_json::json;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
};
use tonic::Code;

/// An address without a server.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn all_failing_nodes_are_named_with_their_tracebacks() {
    let ended = Krt::run("broken").end().await;
    assert_eq!(ended.code, Some(1));
    let error = ended.lines.last_message();
    let root = packages().join("broken").canonicalize().unwrap();
    let file = |node: &str| root.join(format!("src/{node}/main.py")).display().to_string();
    let bare = file("bare");
    let parts = [
        "node `importer` does not start: Traceback (most recent call last):",
        &format!("File \"{}\", line 1, in <module>", file("importer")),
        "ModuleNotFoundError: No module named 'no_such_module'",
        "node `starter` does not start: Traceback (most recent call last):",
        &format!("File \"{}\", line 6, in init", file("starter")),
        &format!("File \"{}\", line 2, in load_model", file("starter")),
        "FileNotFoundError: no model at models/none.bin",
        &format!(
            "node `bare` does not start: `{bare}` has no `handler`; hint: define `async def handler(ctx, data)`"
        ),
    ];
    let mut rest = &*error;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no `{part}` (in this order) in:\n{error}"));
        rest = &rest[at + part.len()..];
    }
    assert!(!error.contains("node 'good'"), "{error}");
    assert!(ended.lines.records().iter().all(|record| !record.message.starts_with("listening on")));
}

#[tokio::test]
async fn no_request_is_served_before_init_has_ended() {
    let address = free_address();
    let process = Krt::run("phoenix").listen(address).spawn();
    process.scratch.wait("start.1").await;
    let client = Client::new(&packages().join("phoenix"), address);
    for rpc in ["Run", "Calm"] {
        let early = client.call(rpc, json!({})).await;
        assert_status(early, Code::Unavailable, "the service is starting");
    }
    process.scratch.put("go");
    eventually("the service answers", async || client.call("Run", json!({})).await.ok()).await;
    process.stop().await;
}

#[tokio::test]
async fn a_start_can_be_cancelled() {
    let process = Krt::run("phoenix").spawn();
    process.scratch.wait("start.1").await;
    process.stop().await;
}

#[tokio::test]
async fn unloadable_generated_modules_are_replaced() {
    let service = Krt::run("stale").start().await;
    let answer = service.call("Run", json!({ "text": "rescued by" })).await.unwrap();
    assert_eq!(answer, json!({ "text": "rescued by old new" }));
    service.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_reported_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let ended = Krt::run("statuses").listen(address).end().await;
    assert_eq!(ended.code, Some(1));
    let error = format!(
        "cannot listen on {address}: Address already in use (os error 98); hint: something listens there \
         already, choose another with --listen, or port 0 for a free one"
    );
    assert_eq!(ended.lines.last_message(), error);
    assert_eq!(ended.lines.plain(), "");
}

#[tokio::test]
async fn missing_configuration_is_reported_in_full() {
    let ended = Krt::run("secret").flag("--set", "PLAIN=1").end().await;
    assert_eq!(ended.code, Some(1));
    let error = "the configuration is not complete; hint: give a value with\n  --set API_KEY=VALUE\n  \
                 --set-file CERTIFICATE=PATH";
    assert_eq!(ended.lines.last_message(), error);
    assert_eq!(ended.lines.plain(), "");
}

#[tokio::test]
async fn environments_ignore_the_python_path_of_the_user() {
    let copy = Copy::of("stale");
    fs::write(copy.path().join("requirements.txt"), "protobuf\n").unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("google")).unwrap();
    fs::write(outside.path().join("google/__init__.py"), "raise ImportError('from outside')").unwrap();
    let service = Krt::run_at(copy.path()).env("PYTHONPATH", outside.path().to_str().unwrap()).start().await;
    service.call("Run", json!({ "text": "a" })).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn executables_without_the_x_bit_start() {
    let copy = Copy::of("hostile");
    let host = copy.path().join("bin/host");
    fs::set_permissions(&host, fs::Permissions::from_mode(0o644)).unwrap();
    let service = Krt::run_at(copy.path()).flag("--set", "AT_START=ready").start().await;
    assert_eq!(service.call("Attack", json!({ "text": "none" })).await.unwrap(), json!({ "text": "none" }));
    service.stop().await;
}
