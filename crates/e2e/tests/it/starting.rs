//! Answers to clients while a service starts, and clients that wait for it.

use crate::support::{
    Krt, Service, TIMEOUT, actor, assert_status, eventually,
    grpc::Client,
    http::Http,
    krt::command,
    lines::Record,
    team::{Team, version},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// A Python that is not found until the test allows it; the creation of environments takes as long.
struct SlowPython(TempDir);

impl SlowPython {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("python");
        let script = "#!/bin/sh\nhere=$(dirname \"$0\")\ntouch \"$here/asked\"\n\
                      while [ ! -e \"$here/go\" ]; do sleep 0.02; done\nexec python3 \"$@\"\n";
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("python")
    }

    /// Waits until it is searched for.
    async fn asked(&self) {
        let asked = async || self.0.path().join("asked").exists().then_some(());
        eventually("environments are made", asked).await;
    }

    fn go(&self) {
        std::fs::write(self.0.path().join("go"), "").unwrap();
    }
}

/// An address without a server.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn health(client: &Client) -> ServingStatus {
    let (transport, origin) = client.transport();
    let mut client = HealthClient::with_origin(transport, origin);
    client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status()
}

/// Starts `krt call`.
fn call(arguments: &[&str]) -> Child {
    let mut command = command();
    command.arg("call").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its output, once it has exited.
async fn ended(call: Child) -> Output {
    tokio::task::spawn_blocking(move || call.wait_with_output().unwrap()).await.unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// Waits for its first line on standard error.
async fn first_line(child: &mut Child) -> String {
    let stderr = child.stderr.take().unwrap();
    let (tell, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        tell.send(lines.next().unwrap_or_default()).unwrap();
        lines.for_each(drop);
    });
    tokio::time::timeout(TIMEOUT, line).await.expect("it says something").unwrap()
}

#[tokio::test]
async fn clients_fail_and_krt_call_waits_during_the_setup() {
    let (package, python, address) = (actor::package(""), SlowPython::new(), free_address());
    let krt = Krt::run_with_dashboard(package.path()).listen(address).flag("--python", python.path());
    let process = krt.spawn();
    python.asked().await;
    let client = Client::new(package.path(), address);
    let early = client.call("Act", json!({ "text": "hello" })).await;
    assert_status(early, Code::Unavailable, "the service is starting");
    assert_eq!(health(&client).await, ServingStatus::NotServing);
    let http = Http::one(address);
    let early = http.post_json("/actor.Entrypoint/Act", &json!({ "text": "hello" })).await;
    let error = json!({ "code": "unavailable", "message": "the service is starting" });
    assert_eq!(early.expect(StatusCode::SERVICE_UNAVAILABLE), error);

    let at = address.to_string();
    let impatient = call(&["--address", &at, "--timeout", "0.3", "Act", r#"{"text": "hello"}"#]);
    let impatient = ended(impatient).await;
    assert_eq!(impatient.status.code(), Some(1));
    let expected = format!(
        "note: waiting for {address}, which is starting\nerror: UNAVAILABLE: the service is starting\n\
         hint: waited 0.3 s; a longer --timeout waits longer\n"
    );
    assert_eq!(text(&impatient.stderr), expected);

    let mut patient = call(&["--address", &at, "Act", r#"{"text": "hello"}"#]);
    let line = first_line(&mut patient).await;
    assert_eq!(line, format!("note: waiting for {address}, which is starting"));
    python.go();
    let answered = ended(patient).await;
    assert_eq!((answered.status.code(), &*text(&answered.stdout)), (Some(0), "{\"text\":\"hello\"}\n"));
    let serving = async || (health(&client).await == ServingStatus::Serving).then_some(());
    eventually("its health is well", serving).await;
    process.stop().await;
}

#[tokio::test]
async fn a_start_can_be_cancelled_during_the_setup() {
    let (package, python) = (actor::package(""), SlowPython::new());
    let process = Krt::run_at(package.path()).flag("--python", python.path()).spawn();
    python.asked().await;
    let begun = Instant::now();
    process.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(20), "it waits for nothing: {:?}", begun.elapsed());
}

#[tokio::test]
async fn krt_call_reports_waiting_and_failed_starts() {
    let python = SlowPython::new();
    let package = actor::package("");
    let (path, slow) = (package.path().to_str().unwrap(), python.path());
    let slow = slow.to_str().unwrap();
    let arguments = ["--package", path, "--python", slow, "Act", r#"{"text": "hello"}"#];
    let impatient = ended(call(&[&arguments[..], &["--timeout", "3"]].concat())).await;
    assert_eq!(impatient.status.code(), Some(1));
    let expected = format!(
        "note: waiting for `{path}`, which is starting\nerror: the package has not started\n\
         hint: waited 3 s; a longer --timeout waits longer\n"
    );
    assert_eq!(text(&impatient.stderr), expected);

    let mut patient = call(&arguments);
    assert_eq!(first_line(&mut patient).await, format!("note: waiting for `{path}`, which is starting"));
    python.go();
    let answered = ended(patient).await;
    assert_eq!((answered.status.code(), &*text(&answered.stdout)), (Some(0), "{\"text\":\"hello\"}\n"));

    actor::edit(&package, "ACTS = {", "raise RuntimeError('no model')\nACTS = {");
    let failed = ended(call(&["--package", path, "Act"])).await;
    assert_eq!((failed.status.code(), &*text(&failed.stdout)), (Some(1), ""));
    let why = text(&failed.stderr);
    assert!(why.contains("node `actor` does not start: Traceback"), "{why}");
    assert!(why.contains("RuntimeError: no model"), "{why}");
}

#[tokio::test]
async fn krt_call_does_not_wait_after_other_failures() {
    let package = actor::package("");
    let service = Krt::run_at(package.path()).start().await;
    let at = service.address.to_string();
    let failed = ended(call(&["--address", &at, "Act", r#"{"text": "nothing"}"#])).await;
    assert_eq!(failed.status.code(), Some(1));
    let why = text(&failed.stderr);
    assert!(why.starts_with("error: INTERNAL: error in 'actor'"), "{why}");
    service.stop().await;
}

#[tokio::test]
async fn watched_packages_with_errors_are_reported_to_clients() {
    let package = actor::package("");
    let service = Krt::run_at(package.path()).watch().start().await;
    let manifest = package.path().join("krt.yml");
    let whole = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, whole.replace("entrypoint: Act", "entrypoint: Nothing")).unwrap();
    let waiting = |record: &Record| record.message == "waiting for the package to change";
    service.lines.wait("that it waits", waiting).await;
    let refused = async || {
        let status = service.call("Act", json!({ "text": "hello" })).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        (status.message() == "the service did not start: its log says why").then_some(())
    };
    eventually("clients get the error", refused).await;
    assert_eq!(health(&service.client()).await, ServingStatus::NotServing);
    std::fs::write(&manifest, whole).unwrap();
    let again = async || service.call("Act", json!({ "text": "hello" })).await.ok();
    eventually("it serves again", again).await;
    service.stop().await;
}

/// A team's server that creates environments with its own Python.
async fn team(python: &SlowPython, data: &Path) -> Team {
    let described = version("described", "");
    Team::started_by(Krt::serve(described.path()).flag("--python", python.path()), data).await
}

async fn named(service: &Service, version: Option<(&str, &str)>) -> Result<Value, tonic::Status> {
    let mut request = Request::new(json!({}));
    if let Some((version, token)) = version {
        request.metadata_mut().insert("krt-version", version.parse().unwrap());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    service.client().call_by("Name", request).await
}

#[tokio::test]
async fn starting_versions_of_a_team_server_are_reported() {
    let data = tempfile::tempdir().unwrap();
    let python = SlowPython::new();
    let server = team(&python, data.path()).await;
    server.api.post("/runtimes", json!({"id": "shop", "name": "s"})).await.expect(StatusCode::CREATED);
    server.upload("v1", "").await;
    server.api.act("v1", "start").await.expect(StatusCode::ACCEPTED);
    python.asked().await;
    let token = server.api.token().to_owned();
    let early = named(&server, Some(("v1", &token))).await;
    assert_status(early, Code::Unavailable, "the service is starting");
    let nobody = named(&server, None).await;
    assert_status(nobody, Code::Unavailable, "nothing is published here");

    // An aborted start stops its installers.
    server.api.act("v1", "stop").await.expect(StatusCode::ACCEPTED);
    server.until("v1", "STOPPED").await;
    let gone = named(&server, Some(("v1", &token))).await.unwrap_err();
    assert_eq!(gone.message(), "nothing runs here");

    python.go();
    server.api.act("v1", "start").await.expect(StatusCode::ACCEPTED);
    server.until("v1", "STARTED").await;
    server.api.act("v1", "publish").await.expect(StatusCode::OK);
    named(&server, None).await.unwrap();
    server.stop().await;

    // A published version restarts, and its clients learn that it is starting.
    let python = SlowPython::new();
    let server = team(&python, data.path()).await;
    python.asked().await;
    let early = named(&server, None).await;
    assert_status(early, Code::Unavailable, "the service is starting");
    assert_eq!(health(&server.client()).await, ServingStatus::NotServing);
    python.go();
    server.until("v1", "PUBLISHED").await;
    named(&server, None).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn the_dashboard_shows_starting_packages() {
    let (package, python) = (actor::package(""), SlowPython::new());
    let krt = Krt::run_with_dashboard(package.path()).flag("--python", python.path());
    let process = krt.spawn();
    let start = "the dashboard is at http://";
    let at = process.lines.wait("the dashboard", |record| record.message.starts_with(start)).await;
    let page = Http::one(at.message[start.len()..].parse().unwrap());
    python.asked().await;
    let versions = page.send(Method::GET, "/api/v1/runtimes/actor-v1/versions", &[], "").await;
    assert_eq!(versions.expect(StatusCode::OK)[0]["state"], "STARTING");
    python.go();
    let published = async || {
        let versions = page.send(Method::GET, "/api/v1/runtimes/actor-v1/versions", &[], "").await;
        (versions.json()[0]["state"] == "PUBLISHED").then_some(())
    };
    eventually("it runs", published).await;
    process.stop().await;
}
