//! Fewer file descriptors than clients.

use crate::support::{
    Krt, actor, eventually,
    grpc::{Client, is_of_the_transport},
    http::Http,
    lines::Record,
    processes,
    team::dashboard,
};
use futures::future::join_all;
use http::StatusCode;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// The number of clients.
const CLIENTS: usize = 200;

const ACTS: &str = "

async def limit():
    import resource

    return str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


ACTS.update(limit=limit)
";

/// Raises this test's own limit of open files.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// Starts `krt` with a lower limit of open files.
fn limited(krt: Krt, limit: &str) -> Krt {
    krt.started_by("sh", &["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")])
}

async fn hello(package: &Path, address: SocketAddr) -> Result<Value, Status> {
    Client::new(package, address).call("Act", json!({ "text": "hello" })).await
}

/// The status of a refused client. Retries if this busy machine delays the request until the server closes
/// the connection without an answer.
async fn refusal(package: &Path, address: SocketAddr) -> Status {
    let refused = async || {
        let status = hello(package, address).await.expect_err("no descriptor is left");
        (!is_of_the_transport(&status)).then_some(status)
    };
    let status = eventually("a client sends its request in time to be refused", refused).await;
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    status
}

async fn health(package: &Path, address: SocketAddr) -> ServingStatus {
    let (transport, origin) = Client::new(package, address).transport();
    let mut client = HealthClient::with_origin(transport, origin);
    client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn late_clients_are_refused_without_harm_to_others() {
    allow_files();
    let package = actor::package("");
    let krt = Krt::run_with_dashboard(package.path());
    let service = limited(krt, "-n 64").start().await;
    let page = dashboard(&service).await;
    let clients: Vec<_> = (0..CLIENTS).map(|_| Client::new(package.path(), service.address)).collect();
    let calls = clients.iter().map(|client| client.call("Act", json!({ "text": "hello" })));
    let mut answered = 0;
    for answer in join_all(calls).await {
        match answer {
            Ok(_) => answered += 1,
            // On this busy machine, a client may send nothing for a while; the server then closes it without
            // an answer.
            Err(status) if is_of_the_transport(&status) => {}
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
        }
    }
    assert!(answered >= 4, "some are always served: {answered}");
    let few = |record: &Record| {
        record.level == "WARN"
            && record.message.starts_with("no file descriptors are left for more clients, ")
            && record.message.contains("the limit is 64; hint: ")
    };
    service.lines.wait("that there are too few", few).await;

    // Served clients keep their connections.
    let refused = refusal(package.path(), service.address).await;
    assert!(refused.message().contains("too many connections"), "{refused}");
    let plain =
        Http::one(service.address).post_json("/actor.Entrypoint/Act", &json!({ "text": "hello" })).await;
    assert_eq!(plain.expect(StatusCode::SERVICE_UNAVAILABLE)["code"], "unavailable");
    assert_eq!(health(package.path(), service.address).await, ServingStatus::Serving);
    page.send(http::Method::GET, "/api/v1/runtimes", &[], "").await.expect(StatusCode::OK);

    let [worker] = service.workers("actor")[..] else { panic!("one process runs the node") };
    processes::signal(worker, Signal::KILL);
    service.lines.wait("the worker is started again", |record| record.is("actor", "up again")).await;

    drop(clients);
    let recovered = async || hello(package.path(), service.address).await.ok();
    let answer = eventually("a new client is served", recovered).await;
    assert_eq!(answer["text"], "hello");
    let logged = service.lines.records().iter().filter(|record| few(record)).count();
    assert!(logged <= 8, "it is logged now and then only: {logged}\n{}", service.lines.text());
    service.stop().await;
}

#[tokio::test]
async fn silent_clients_delay_others_only_briefly() {
    allow_files();
    let package = actor::package("");
    let service = limited(Krt::run_at(package.path()), "-n 64").start().await;
    let silent = (0..CLIENTS).map(|_| TcpStream::connect(service.address));
    let silent: Vec<_> = join_all(silent).await.into_iter().map(Result::unwrap).collect();
    refusal(package.path(), service.address).await;
    drop(silent);
    let recovered = async || hello(package.path(), service.address).await.ok();
    eventually("a new client is served", recovered).await;
    service.stop().await;
}

#[tokio::test]
async fn the_engine_uses_the_hard_limit_and_workers_keep_theirs() {
    let package = actor::package(ACTS);
    let service = limited(Krt::run_at(package.path()), "-Sn 512 && ulimit -Hn 2048").start().await;
    assert_eq!(processes::descriptors(service.pid()), 2048);
    let answer = service.call("Act", json!({ "text": "limit" })).await.unwrap();
    assert_eq!(answer["text"], "512");
    service.stop().await;
}
