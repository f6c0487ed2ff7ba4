//! Executables of older runners with external servers.

use super::{MIXED, ask, back, it_is_stored, it_works};
use crate::support::{
    Krt,
    older::{Kind, package},
    runners::WireProtocol,
    team::{Team, packed},
};
use http::StatusCode;
use krt_servers::{NatsOptions, NatsServer};
use serde_json::json;
use tonic::Code;

fn server(test: &str) -> Option<NatsServer> {
    let options = NatsOptions { jetstream: true, max_payload: Some(8 << 20), ..NatsOptions::default() };
    NatsServer::start(test, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn executables_over_jetstream_run() {
    // Skip the test if no server is installed.
    let Some(_server) = server("executables_over_jetstream_run") else { return };
    let package = package(Kind::JetStream, MIXED, "");
    let service = Krt::run_at(package.path()).by_environment().start().await;
    it_works(&service).await;
    let status = ask(&service, "one die").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    back(&service, "one").await;
    it_is_stored(service).await;
}

async fn they_run_behind_a_server(kind: Kind, protocol: WireProtocol, test: &str) {
    let Some(server) = server(test) else { return };
    let package = package(kind, MIXED, "");
    let service = Krt::run_at(package.path()).nats(&server.url(), protocol).start().await;
    it_works(&service).await;
    it_is_stored(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executables_over_core_run_behind_a_server() {
    they_run_behind_a_server(Kind::Core, WireProtocol::Core, "executables_over_core_run_behind_a_server")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executables_over_jetstream_run_behind_a_server() {
    let test = "executables_over_jetstream_run_behind_a_server";
    they_run_behind_a_server(Kind::JetStream, WireProtocol::JetStream, test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executables_run_on_a_team_server() {
    let (data, package) = (tempfile::tempdir().unwrap(), package(Kind::Core, MIXED, ""));
    let team = Team::started_by(Krt::serve(package.path()), data.path()).await;
    team.api.post("/runtimes", json!({"id": "shop", "name": "The shop"})).await.expect(StatusCode::CREATED);
    team.api.upload(packed(package.path())).await.expect(StatusCode::CREATED);
    team.api.act("wire-v1", "start").await.expect(StatusCode::ACCEPTED);
    team.until("wire-v1", "STARTED").await;
    team.api.act("wire-v1", "publish").await.expect(StatusCode::OK);
    assert_eq!(ask(&team, "one save").await.unwrap(), "hi one two three");
    assert_eq!(ask(&team, "three find").await.unwrap(), "hi one two three[{hi one}]");
    team.stop().await;
}
