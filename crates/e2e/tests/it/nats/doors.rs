//! Signing in to the server: what is right serves, what is wrong fails the start and tells no secret.

use super::package;
use crate::support::{Krt, runners::Era};
use krt_servers::{NatsAuth, NatsOptions, NatsServer};
use serde_json::json;

async fn signs_in(test: &str, auth: NatsAuth, right: &str, wrong: &str) {
    let options = NatsOptions { auth, ..NatsOptions::default() };
    let Some(server) = NatsServer::start(test, options) else { return };
    let (package, url) = (package(&[]), |who: &str| format!("nats://{who}@127.0.0.1:{}", server.port));
    let service = Krt::run_at(package.path()).nats(&url(right), Era::Core).start().await;
    let answer = service.call("Act", json!({"text": "hi"})).await.unwrap();
    assert_eq!(answer["text"], "hi one two three");
    let ended = service.stop().await;
    assert!(!ended.lines.text().contains("s3cret"), "{}", ended.lines.text());
    let ended = Krt::run_at(package.path()).nats(&url(wrong), Era::Core).end().await;
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
