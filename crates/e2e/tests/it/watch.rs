//! `krt run --watch`: nodes whose files change.

use crate::support::{Copy, Krt, Service, eventually, lines::Record};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

async fn typed(service: &Service) -> Value {
    service.call("ToTyped", json!({ "act": "numbers" })).await.unwrap()["text"].clone()
}

#[tokio::test]
async fn only_nodes_with_changed_files_are_restarted() {
    let copy = Copy::of("plain");
    let service = Krt::run_at(copy.path()).watch().start().await;
    let (plain, old) = (service.workers("plain"), service.workers("typed"));
    assert_eq!(typed(&service).await, "☃ 5.0");

    let done = Arc::new(AtomicBool::new(false));
    let load = {
        let (client, done) = (service.client(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut calls = 0;
            while !done.load(Ordering::Relaxed) {
                client.call("ToTyped", json!({ "act": "numbers" })).await.unwrap();
                calls += 1;
            }
            calls
        })
    };
    copy.edit("src/typed/main.py", "text=f\"", "text=f\"edited ");
    service.lines.wait("the restart", |record| record.is("typed", "restarted")).await;
    assert_eq!(typed(&service).await, "edited ☃ 5.0");
    assert_eq!(service.workers("plain"), plain);
    let replaced = async || service.workers("typed").iter().all(|worker| !old.contains(worker)).then_some(());
    eventually("the old process has finished its work", replaced).await;

    copy.edit("src/typed/main.py", "async def handler", "async def (handler");
    let failed = "does not start; the previous process keeps running: ";
    let record = service.lines.wait("the failure", |record| record.is("typed", failed)).await;
    assert!(record.message.contains("SyntaxError"), "{record:?}");
    assert_eq!(typed(&service).await, "edited ☃ 5.0");

    copy.edit("src/typed/main.py", "async def (handler", "async def handler");
    copy.edit("src/typed/main.py", "edited", "mended");
    let mended = async || {
        let text = typed(&service).await;
        (text == "mended ☃ 5.0").then_some(())
    };
    eventually("the new code answers", mended).await;
    done.store(true, Ordering::Relaxed);
    assert!(load.await.unwrap() > 0, "every call was answered meanwhile");
    service.stop().await;
}

#[tokio::test]
async fn changed_packages_are_restarted() {
    let copy = Copy::of("plain");
    let service = Krt::run_at(copy.path()).watch().start().await;
    copy.edit("krt.yml", "entrypoint: Two", "entrypoint: Tow");
    let waiting = |record: &Record| record.message == "waiting for the package to change";
    service.lines.wait("that it waits", waiting).await;
    let is_reported = |record: &Record| {
        record.level == "ERROR" && record.message.starts_with("krt.yml:") && record.message.contains("`Tow`")
    };
    assert!(service.lines.records().iter().any(is_reported), "{}", service.lines.text());
    assert!(service.workers("plain").is_empty(), "what ran before has ended");

    copy.edit("krt.yml", "entrypoint: Tow", "entrypoint: Two");
    let again = async || service.call("Alone", json!({ "act": "greet", "name": "Ada" })).await.ok();
    let answer = eventually("it serves again", again).await;
    assert_eq!(answer, json!({ "text": "Hello Ada!" }));
    service.stop().await;
}
