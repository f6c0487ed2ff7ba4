//! Executables of older runners with external servers.

use super::{MIXED, ask, back, it_is_stored, it_works};
use crate::attacks::isolation;
use crate::support::{
    Krt,
    older::{Kind, package},
    runners::WireProtocol,
    team::{Team, packed},
};
use bson::doc;
use futures::TryStreamExt as _;
use http::StatusCode;
use krt_remote::{Documents, Mongo};
use krt_servers::{MongoServer, NatsOptions, NatsServer};
use rustix::process::getuid;
use serde_json::json;
use std::path::Path;
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

/// Publishes the package on a team's server, and calls executables that save and find documents.
async fn they_save_and_find(krt: Krt, data: &Path, package: &Path) {
    let team = Team::started_by(krt, data).await;
    team.api.post("/runtimes", json!({"id": "shop", "name": "The shop"})).await.expect(StatusCode::CREATED);
    team.api.upload(packed(package)).await.expect(StatusCode::CREATED);
    team.api.act("wire-v1", "start").await.expect(StatusCode::ACCEPTED);
    team.until("wire-v1", "STARTED").await;
    team.api.act("wire-v1", "publish").await.expect(StatusCode::OK);
    assert_eq!(ask(&team, "one save").await.unwrap(), "hi one two three");
    assert_eq!(ask(&team, "three find").await.unwrap(), "hi one two three[{hi one}]");
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executables_run_on_a_team_server() {
    let (data, package) = (tempfile::tempdir().unwrap(), package(Kind::Core, MIXED, ""));
    they_save_and_find(Krt::serve(package.path()), data.path(), package.path()).await;
}

/// They get the address of MongoDB, as their own client saves documents.
#[tokio::test(flavor = "multi_thread")]
async fn executables_on_a_team_server_save_in_its_mongodb() {
    let test = "executables_on_a_team_server_save_in_its_mongodb";
    let Some(mongo) = MongoServer::start(test) else { return };
    let (data, package) = (tempfile::tempdir().unwrap(), package(Kind::Core, MIXED, ""));
    let krt = Krt::serve(package.path()).flag("--mongo", &mongo.url);
    they_save_and_find(krt, data.path(), package.path()).await;
    let kept = Documents::Mongo(Mongo::connect(&(*mongo.url).into(), "shop").await.unwrap());
    let found = kept.find("orders", doc! { "text": "hi one" }).await.unwrap();
    assert_eq!(found.try_collect::<Vec<_>>().await.unwrap().len(), 1);
}

/// In isolation, no version learns the passwords of servers that all versions share.
#[tokio::test(flavor = "multi_thread")]
async fn isolated_executables_get_no_passwords() {
    const TEST: &str = "isolated_executables_get_no_passwords";
    let Some(mongo) = MongoServer::start(TEST) else { return };
    if !getuid().is_root() || !isolation::may(TEST, &isolation::OF_ROOT) {
        return;
    }
    let (data, package) = (tempfile::tempdir().unwrap(), package(Kind::Core, MIXED, ""));
    let krt = Krt::serve(package.path()).flag("--mongo", &mongo.url);
    let team = Team::started_by(krt.bare("--isolate").bare("--isolate-users=300000"), data.path()).await;
    team.api.post("/runtimes", json!({"id": "shop", "name": "The shop"})).await.expect(StatusCode::CREATED);
    team.api.upload(packed(package.path())).await.expect(StatusCode::CREATED);
    team.api.act("wire-v1", "start").await.expect(StatusCode::ACCEPTED);
    let failed = team.until("wire-v1", "ERROR").await;
    let reason = failed["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("node `one` was built with an older runner, which would get"), "{reason}");
    team.stop().await;
}
