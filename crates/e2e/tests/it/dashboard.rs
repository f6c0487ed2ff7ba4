//! The dashboard of a single package.

use crate::support::{
    Krt, actor, eventually,
    team::{dashboard, version},
};
use http::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;
use tonic::Code;

const JSON: (&str, &str) = ("content-type", "application/json");
const VERSION: &str = "/api/v1/runtimes/v1/versions/v1";

#[tokio::test]
async fn what_runs_is_shown_and_can_be_called_but_not_changed() {
    let package = version("v1", "");
    let service = Krt::run_with_dashboard(package.path()).start().await;
    let http = dashboard(&service).await;
    let get = async |path: &str| http.send(Method::GET, path, &[], "").await.expect(StatusCode::OK);
    assert_eq!(get("/api/v1/server").await["mode"], "run");
    assert_eq!(get("/api/v1/runtimes").await[0]["published"], "v1");
    assert_eq!(get(VERSION).await["state"], "PUBLISHED");

    let call = json!({"method": "/names.Entrypoint/Name", "message": {}});
    let called = http.post_json(&format!("{VERSION}/call"), &call).await.expect(StatusCode::OK);
    assert_eq!(called["answer"], json!({"text": "v1"}));
    let requests = get("/api/v1/runtimes/v1/requests").await;
    assert_eq!(requests["requests"][0]["id"], called["request"]);
    let graph = get(&format!("{VERSION}/graph")).await;
    assert_eq!((&graph["nodes"][0]["state"], &graph["nodes"][0]["handled"]), (&json!("up"), &json!(1)));

    let refused = http.post_json(&format!("{VERSION}/start"), &json!({})).await;
    assert_eq!(refused.expect(StatusCode::METHOD_NOT_ALLOWED)["code"], "method_not_allowed");
    let page = http.send(Method::GET, "/", &[], "").await;
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    service.stop().await;
}

#[tokio::test]
async fn pages_from_elsewhere_see_and_do_nothing() {
    let package = version("v1", "");
    let service = Krt::run_with_dashboard(package.path()).start().await;
    let http = dashboard(&service).await;
    // A foreign name that resolves to the loopback.
    let named = [("host", "evil.example.com")];
    http.send(Method::GET, "/api/v1/runtimes", &named, "").await.expect(StatusCode::FORBIDDEN);
    let call = json!({"method": "/names.Entrypoint/Name", "message": {}}).to_string();
    let path = format!("{VERSION}/call");
    let from = [JSON, ("origin", "https://evil.example.com")];
    http.post(&path, &from, call.clone()).await.expect(StatusCode::FORBIDDEN);
    // A request that a form can send without a CORS preflight.
    let form = [("content-type", "text/plain")];
    http.post(&path, &form, call).await.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    service.stop().await;
}

/// A handler that raises, one that dies, and one that takes too long.
const ENDINGS: &str = "

async def fail():
    raise ValueError(\"no\")


async def die():
    os.kill(os.getpid(), 9)


async def wait():
    import asyncio
    await asyncio.sleep(600)


ACTS.update(fail=fail, die=die, wait=wait)
";

#[tokio::test]
async fn each_call_of_a_handler_is_shown_with_its_own_ending() {
    let package = actor::package(ENDINGS);
    let manifest = package.path().join("krt.yml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let source = "    src: src/actor/main.py\n";
    std::fs::write(&manifest, text.replace(source, &format!("{source}    timeout: 5\n"))).unwrap();
    let service = Krt::run_with_dashboard(package.path()).start().await;
    let http = dashboard(&service).await;
    let act = |text: &str| json!({ "text": text });
    let up = async || service.call("Act", act("hello")).await.ok();
    service.call("Act", act("fail")).await.unwrap_err();
    service.call("Act", act("wait")).await.unwrap_err();
    eventually("a worker is up after the timeout", up).await;
    service.call("Act", act("die")).await.unwrap_err();
    eventually("a worker is up after the death", up).await;
    let ended = async || {
        let page = http.send(Method::GET, "/api/v1/runtimes/actor-v1/requests", &[], "").await;
        let page = page.expect(StatusCode::OK);
        let hops =
            page["requests"].as_array().unwrap().iter().rev().filter_map(|request| request["hops"].get(0));
        let outcomes: Vec<_> = hops.map(|hop| hop["outcome"].as_str().unwrap().to_owned()).collect();
        (outcomes.len() == 5).then_some(outcomes)
    };
    let outcomes = eventually("all requests have ended", ended).await;
    assert_eq!(outcomes, ["error", "timed_out", "ok", "died", "ok"]);
    service.stop().await;
}

/// A handler that waits until it is cancelled, and one that goes on even then.
const PATIENT: &str = "

import asyncio


async def wait():
    await asyncio.sleep(600)


async def stubborn():
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass


ACTS.update(wait=wait, stubborn=stubborn)
";

#[tokio::test]
async fn a_handler_at_work_when_the_deadline_passes_is_shown_as_cancelled() {
    let package = actor::package(PATIENT);
    let service = Krt::run_with_dashboard(package.path()).start().await;
    let http = dashboard(&service).await;
    let deadline = Duration::from_secs(2);
    for text in ["wait", "stubborn"] {
        let refused = service.call_within(deadline, "Act", json!({ "text": text })).await.unwrap_err();
        assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused:?}");
        let shown = async || {
            let page = http.send(Method::GET, "/api/v1/runtimes/actor-v1/requests?limit=1", &[], "").await;
            let mut page = page.expect(StatusCode::OK);
            let request = page["requests"][0].take();
            (request["ending"] == "failed").then_some(request)
        };
        let request = eventually("the request has ended", shown).await;
        let hop = &request["hops"][0];
        assert_eq!((&hop["node"], &hop["outcome"]), (&json!("actor"), &json!("cancelled")), "{request:#}");
        assert!(hop["handler_ms"].as_f64().unwrap() > 500.0, "it was at work until the deadline: {hop:#}");
    }
    service.stop().await;
}
