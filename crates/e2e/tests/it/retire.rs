//! Workers that do not stop on request.

use crate::support::{Krt, Service, actor, assert_status, eventually, processes, team::Team};
use http::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

/// A worker that stops itself after its answer and reacts only to SIGKILL, a handler that waits, and one that
/// cannot be stopped.
const ACTS: &str = "

async def freeze():
    import signal
    import threading

    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGSTOP)).start()
    return \"begun\"


async def wait():
    import asyncio

    (SCRATCH / \"begun\").touch()
    while not (SCRATCH / \"go\").exists():
        await asyncio.sleep(0.01)
    return \"old\"


async def stay():
    import signal
    import time

    signal.signal(signal.SIGTERM, lambda *_: (SCRATCH / \"terminated\").touch())
    (SCRATCH / \"begun\").touch()
    while True:
        time.sleep(1)


ACTS.update(freeze=freeze, wait=wait, stay=stay)
";

const KILLED: &str = "worker of node `actor` did not end within 5 s: killed";

async fn act(service: &Service, act: &str) -> Result<Value, Status> {
    service.call("Act", json!({ "text": act })).await
}

/// Begins a call that never ends by itself.
async fn begin(service: &Service, act: &'static str) -> JoinHandle<Result<Value, Status>> {
    let client = service.client();
    let call = tokio::spawn(async move { client.call("Act", json!({ "text": act })).await });
    service.scratch.wait("begun").await;
    call
}

async fn watched() -> (TempDir, Service) {
    let package = actor::package(ACTS);
    let service = Krt::run_at(package.path()).watch().start().await;
    (package, service)
}

fn only(service: &Service) -> i32 {
    let [worker] = service.workers("actor")[..] else { panic!("one process runs the node") };
    worker
}

/// Makes the only worker ignore all requests to stop.
async fn freeze(service: &Service) -> i32 {
    let worker = only(service);
    act(service, "freeze").await.unwrap();
    eventually("the worker has stopped itself", async || processes::is_stopped(worker).then_some(())).await;
    worker
}

/// The position of the node's record with a message, after `before` others with the same message.
fn position(service: &Service, message: &str, before: usize) -> Option<usize> {
    let records = service.lines.records();
    let mut found = records.iter().enumerate().filter(|(_, record)| record.is("actor", message));
    found.nth(before).map(|(position, _)| position)
}

#[tokio::test]
async fn stuck_workers_block_neither_restarts_nor_supervision() {
    let (package, service) = watched().await;
    let old = freeze(&service).await;
    actor::edit(&package, "return \"hello\"", "return \"new\"");
    let restarted = async |before| position(&service, "restarted", before);
    eventually("the restart", async || restarted(0).await).await;
    assert_eq!(act(&service, "hello").await.unwrap()["text"], "new");

    let workers = service.workers("actor").into_iter().filter(|&worker| worker != old).collect::<Vec<_>>();
    let [new] = workers[..] else { panic!("one process took its place: {workers:?}") };
    processes::signal(new, Signal::KILL);
    let up = service.lines.wait("the new worker is supervised", |record| record.is("actor", "up again"));
    up.await;
    actor::edit(&package, "return \"new\"", "return \"newer\"");
    let again = eventually("another restart", async || restarted(1).await).await;
    assert_eq!(act(&service, "hello").await.unwrap()["text"], "newer");

    let killed = eventually("the old worker is ended", async || position(&service, KILLED, 0)).await;
    assert!(again < killed, "the restart did not wait:\n{}", service.lines.text());
    eventually("the old worker has ended", async || (!processes::lives(old)).then_some(())).await;
    service.stop().await;
}

#[tokio::test]
async fn handlers_finish_while_a_new_worker_takes_messages() {
    let (package, service) = watched().await;
    let call = begin(&service, "wait").await;
    actor::edit(&package, "return \"hello\"", "return \"new\"");
    service.lines.wait("the restart", |record| record.is("actor", "restarted")).await;
    assert_eq!(act(&service, "hello").await.unwrap()["text"], "new");
    service.scratch.put("go");
    assert_eq!(call.await.unwrap().unwrap()["text"], "old");
    let ended = service.stop().await;
    assert!(!ended.lines.text().contains("did not end within"), "{}", ended.lines.text());
}

#[tokio::test]
async fn unfinished_handlers_are_ended_and_reported() {
    let (package, service) = watched().await;
    let call = begin(&service, "stay").await;
    actor::edit(&package, "return \"hello\"", "return \"new\"");
    service.lines.wait("the restart", |record| record.is("actor", "restarted")).await;
    assert_eq!(act(&service, "hello").await.unwrap()["text"], "new");
    let message = "node 'actor' died while it handled the request: it was asked to end, and did not finish \
                   within 5 s";
    assert_status(call.await.unwrap(), Code::Internal, message);
    assert!(position(&service, KILLED, 0).is_some(), "{}", service.lines.text());
    assert!(service.scratch.path().join("terminated").exists(), "SIGTERM comes before SIGKILL");
    service.stop().await;
}

#[tokio::test]
async fn stopping_kills_stuck_workers_and_logs_it() {
    let package = actor::package(ACTS);
    let service = Krt::run_at(package.path()).start().await;
    freeze(&service).await;
    let ended = service.stop().await;
    assert!(ended.lines.records().iter().any(|record| record.is("actor", KILLED)), "{}", ended.lines.text());
}

#[tokio::test]
async fn hanging_starts_block_neither_restarts_nor_stops() {
    let (package, service) = watched().await;
    let never = "async def init(ctx):\n    import asyncio\n\n    (SCRATCH / \"init\").touch()\n    await \
                 asyncio.sleep(3600)\n\n\nasync def hello";
    actor::edit(&package, "async def hello", never);
    service.scratch.wait("init").await;
    actor::edit(&package, "async def init(ctx)", "async def not_init(ctx)");
    service.lines.wait("the restart", |record| record.is("actor", "restarted")).await;
    actor::edit(&package, "async def not_init(ctx)", "async def init(ctx)");
    std::fs::remove_file(service.scratch.path().join("init")).unwrap();
    for text in ["one", "two", "three"] {
        service.scratch.wait("init").await;
        std::fs::remove_file(service.scratch.path().join("init")).unwrap();
        actor::edit(&package, "\"hello\"", &format!("\"{text}\" or \"hello\""));
    }
    service.scratch.wait("init").await;
    assert_eq!(act(&service, "hello").await.unwrap()["text"], "hello");
    service.stop().await;
}

#[tokio::test]
async fn versions_with_stuck_workers_can_be_stopped() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.upload("v1", "").await;
    team.api.act("v1", "start").await.expect(StatusCode::ACCEPTED);
    team.until("v1", "STARTED").await;
    let [worker] = team.workers("namer")[..] else { panic!("one process runs the node") };
    processes::signal(worker, Signal::STOP);
    team.api.act("v1", "stop").await.expect(StatusCode::ACCEPTED);
    team.until("v1", "STOPPED").await;
    let killed = "worker of node `namer` did not end within 5 s: killed";
    assert!(team.lines.records().iter().any(|record| record.is("namer", killed)), "{}", team.lines.text());
    team.stop().await;
}
