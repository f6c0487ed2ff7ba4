//! Starts that fail because a store cannot be reached.

use super::{Served, package};
use crate::support::{Krt, krt::refused, runners::WireProtocol};
use krt_servers::{NatsAuth, NatsOptions, NatsServer};

/// The same words as those of `krt run`, without secrets.
#[tokio::test]
async fn unreachable_stores_fail_the_start() {
    let cases = [
        ("--mongo", "mongodb://ada:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=50", "cannot use MongoDB at"),
        ("--mongo", "mysql://ada:s3cret@127.0.0.1", "is not a URL of MongoDB"),
        ("--influx", "ftp://ada:s3cret@127.0.0.1", "is not a URL of InfluxDB"),
        ("--nats", "nats://ada:s3cret@127.0.0.1:1", "cannot be reached"),
        ("--nats", "http://ada:s3cret@127.0.0.1", "is not a NATS URL"),
    ];
    let package = package("v1", "");
    for (flag, url, part) in cases {
        let mut said = Vec::new();
        for krt in [Krt::serve(package.path()), Krt::run_at(package.path()).by_environment()] {
            let ended = krt.flag(flag, url).end().await;
            let text = ended.lines.text();
            assert_eq!(ended.code, Some(1), "{text}");
            assert!(text.contains(part) && !text.contains("s3cret"), "{flag}: {text}");
            // The driver of MongoDB adds what it knows of the server's state.
            let message = ended.lines.last_message();
            said.push(message.split(" Topology:").next().unwrap_or_default().to_owned());
        }
        assert_eq!(said[0], said[1], "{flag}");
    }
}

#[tokio::test]
async fn the_server_signs_in_at_nats() {
    let auth = NatsAuth::Password { user: "ada".to_owned(), password: "s3cret".to_owned() };
    let options = NatsOptions { auth, ..NatsOptions::default() };
    let Some(server) = NatsServer::start("the_server_signs_in_at_nats", options) else { return };
    let (package, data) = (package("v1", ""), tempfile::tempdir().unwrap());
    let signed = |password: &str| server.url().replace("nats://", &format!("nats://ada:{password}@"));
    let ended = Krt::serve(package.path()).flag("--nats", signed("wr0ng")).end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.lines.text());
    let text = ended.lines.text();
    assert!(text.contains("rejects the credentials") && !text.contains("wr0ng"), "{text}");
    let served = Served::start(data.path(), |krt| krt.env("KRT_NATS_SERVER", signed("s3cret"))).await;
    served.runtime("shop").await;
    served.publish("shop", "v1", package.path()).await;
    assert_eq!(served.ask("shop", "", "hi").await.unwrap(), "hi");
    assert_eq!(served.store("shop", "messages").await["address"], server.url());
    let ended = served.team.stop().await;
    assert!(!ended.lines.text().contains("s3cret"), "{}", ended.lines.text());
}

#[tokio::test]
async fn a_nats_server_must_have_what_versions_need() {
    let test = "a_nats_server_must_have_what_versions_need";
    let Some(server) = NatsServer::start(test, NatsOptions::default()) else { return };
    let package = package("v1", "");
    let ended = Krt::serve(package.path()).nats(&server.url(), WireProtocol::JetStream).end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.lines.text());
    assert!(ended.lines.text().contains("has no JetStream"), "{}", ended.lines.text());
    // `--served` is about a runtime, which must be named.
    let flags = ["--nats", &server.url(), "--served"];
    let text = refused(&["env", "last"], package.path(), &flags);
    assert!(text.contains("--runtime <ID>"), "{text}");
}
