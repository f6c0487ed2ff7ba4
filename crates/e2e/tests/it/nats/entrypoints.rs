//! Authentication with the server: valid credentials work; with invalid ones the start fails, without showing
//! secrets.

use super::package;
use crate::support::{Krt, runners::WireProtocol};
use krt_servers::{NatsAuth, NatsOptions, NatsServer, NatsTls};
use serde_json::json;
use std::path::Path;

async fn signs_in(test: &str, auth: NatsAuth, right: &str, wrong: &str) {
    let options = NatsOptions { auth, ..NatsOptions::default() };
    let Some(server) = NatsServer::start(test, options) else { return };
    let (package, url) = (package(&[]), |who: &str| format!("nats://{who}@127.0.0.1:{}", server.port));
    let service = Krt::run_at(package.path()).nats(&url(right), WireProtocol::Core).start().await;
    let answer = service.call("Act", json!({"text": "hi"})).await.unwrap();
    assert_eq!(answer["text"], "hi one two three");
    let ended = service.stop().await;
    assert!(!ended.lines.text().contains("s3cret"), "{}", ended.lines.text());
    let ended = Krt::run_at(package.path()).nats(&url(wrong), WireProtocol::Core).end().await;
    assert_eq!(ended.code, Some(1));
    let words = ended.lines.text();
    assert!(words.contains("hint:") && !words.contains("wr0ng"), "{words}");
}

#[tokio::test]
async fn with_user_and_password() {
    let auth = NatsAuth::Password { user: "ada".to_owned(), password: "s3cret".to_owned() };
    signs_in("with_user_and_password", auth, "ada:s3cret", "ada:wr0ng").await;
}

#[tokio::test]
async fn with_a_token() {
    signs_in("with_a_token", NatsAuth::Token("s3cret".to_owned()), "s3cret", "wr0ng").await;
}

/// With the right files, the version serves; without them, or with a wrong one, the start fails with a hint.
async fn serves_with_files(
    test: &str,
    options: NatsOptions,
    flags: impl Fn(&NatsServer) -> Vec<(&'static str, String)>,
) {
    let Some(server) = NatsServer::start(test, options) else { return };
    let (package, flags) = (package(&[]), flags(&server));
    let with = |flags: &[(&str, String)]| {
        let krt = Krt::run_at(package.path()).nats(&server.url(), WireProtocol::Core);
        flags.iter().fold(krt, |krt, (name, value)| krt.flag(name, value))
    };
    let service = with(&flags).start().await;
    let answer = service.call("Act", json!({"text": "hi"})).await.unwrap();
    assert_eq!(answer["text"], "hi one two three");
    service.stop().await;
    let missing = [(flags[0].0, "no-such-file".to_owned())];
    for (wrong, words) in [(&[][..], "hint:"), (&missing[..], "`no-such-file` cannot be used as ")] {
        let ended = with(wrong).end().await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.lines.last_message().contains(words), "{}", ended.lines.text());
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn with_an_nkey() {
    let options = NatsOptions { auth: NatsAuth::Nkey, ..NatsOptions::default() };
    serves_with_files("with_an_nkey", options, |server| vec![("--nats-nkey", text(&server.nkey_file()))])
        .await;
}

#[tokio::test]
async fn with_a_credentials_file() {
    let options = NatsOptions { auth: NatsAuth::Credentials, ..NatsOptions::default() };
    let flags = |server: &NatsServer| vec![("--nats-creds", text(&server.credentials_file()))];
    serves_with_files("with_a_credentials_file", options, flags).await;
}

#[tokio::test]
async fn over_tls() {
    let options = NatsOptions { tls: NatsTls::Server, ..NatsOptions::default() };
    serves_with_files("over_tls", options, |server| vec![("--nats-ca", text(&server.ca_file()))]).await;
}

#[tokio::test]
async fn over_tls_with_a_client_certificate() {
    let options = NatsOptions { tls: NatsTls::Mutual, ..NatsOptions::default() };
    let flags = |server: &NatsServer| {
        let (certificate, key) = server.client_certificate();
        let ca = ("--nats-ca", text(&server.ca_file()));
        vec![ca, ("--nats-cert", text(&certificate)), ("--nats-key", text(&key))]
    };
    serves_with_files("over_tls_with_a_client_certificate", options, flags).await;
}

#[tokio::test]
async fn with_environment_variables() {
    let auth = NatsAuth::Token("s3cret".to_owned());
    let options = NatsOptions { auth, jetstream: true, ..NatsOptions::default() };
    let Some(server) = NatsServer::start("with_environment_variables", options) else { return };
    let package = package(&[]);
    let url = format!("nats://s3cret@127.0.0.1:{}", server.port);
    let krt = Krt::run_at(package.path()).by_environment();
    let service = krt.env("KRT_NATS_SERVER", &url).env("KRT_NATS_MODE", "jetstream").start().await;
    let answer = service.call("Act", json!({"text": "hi"})).await.unwrap();
    assert_eq!(answer["text"], "hi one two three");
    let ended = service.stop().await;
    assert!(!ended.lines.text().contains("s3cret"), "{}", ended.lines.text());
}
