//! The dashboard of a single package.

use crate::support::{
    Krt, actor, eventually,
    team::{dashboard, version},
};
use flate2::bufread::MultiGzDecoder;
use http::{Method, StatusCode};
use krt_api::{
    State,
    call::CallResult,
    error::ErrorCode,
    graph::{Graph, NodeState},
    request::RequestPage,
    runtime::Runtime,
    server::{Mode, Server},
    version::Version,
};
use krt_model::request::{Ending, HopEnding};
use serde_json::json;
use std::{io::Read as _, time::Duration};
use tonic::Code;

const JSON: (&str, &str) = ("content-type", "application/json");
const VERSION: &str = "/api/v1/runtimes/v1/versions/v1";

#[tokio::test]
async fn running_packages_can_be_called_but_not_changed() {
    let package = version("v1", "");
    let service = Krt::run_with_dashboard(package.path()).start().await;
    let http = dashboard(&service).await;
    let get = async |path: &str| http.send(Method::GET, path, &[], "").await;
    assert_eq!(get("/api/v1/server").await.read::<Server>(StatusCode::OK).mode, Mode::Run);
    let runtimes: Vec<Runtime> = get("/api/v1/runtimes").await.read(StatusCode::OK);
    assert_eq!(runtimes[0].published.as_deref(), Some("v1"));
    assert_eq!(get(VERSION).await.read::<Version>(StatusCode::OK).state, State::Published);

    let call = json!({"method": "/names.Entrypoint/Name", "message": {}});
    let called: CallResult = http.post_json(&format!("{VERSION}/call"), &call).await.read(StatusCode::OK);
    assert_eq!(called.answer.unwrap().get(), r#"{"text":"v1"}"#);
    let page: RequestPage = get("/api/v1/runtimes/v1/requests").await.read(StatusCode::OK);
    assert_eq!(Some(&page.requests[0].id), called.request.as_ref());
    let graph: Graph = get(&format!("{VERSION}/graph")).await.read(StatusCode::OK);
    assert_eq!((graph.nodes[0].state, graph.nodes[0].handled), (NodeState::Up, 1));

    let refused = http.post_json(&format!("{VERSION}/start"), &json!({})).await;
    let refused: krt_api::Error = refused.read(StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.code, ErrorCode::MethodNotAllowed);
    let page = http.send(Method::GET, "/", &[], "").await;
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    service.stop().await;
}

#[tokio::test]
async fn pages_are_compressed_for_clients_that_read_gzip() {
    let package = version("v1", "");
    let service = Krt::run_with_dashboard(package.path()).start().await;
    let http = dashboard(&service).await;
    let plain = http.send(Method::GET, "/", &[], "").await;
    let packed = http.send(Method::GET, "/", &[("accept-encoding", "gzip, br")], "").await;
    for reply in [&plain, &packed] {
        assert_eq!((reply.status, reply.header("vary")), (StatusCode::OK, "accept-encoding"), "{reply:?}");
    }
    assert_eq!(plain.header("content-encoding"), "");
    // A binary without a dashboard has one short page.
    if String::from_utf8_lossy(&plain.body).contains("/assets/") {
        assert_eq!(packed.header("content-encoding"), "gzip");
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body);
    } else {
        assert_eq!((packed.header("content-encoding"), &packed.body), ("", &plain.body));
    }
    service.stop().await;
}

#[tokio::test]
async fn foreign_pages_see_and_do_nothing() {
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
async fn each_handler_call_is_shown_with_its_own_outcome() {
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
        let page: RequestPage = page.read(StatusCode::OK);
        let hops = page.requests.iter().rev().filter_map(|request| request.hops.first());
        let outcomes: Vec<_> = hops.map(|hop| hop.outcome).collect();
        (outcomes.len() == 5).then_some(outcomes)
    };
    let outcomes = eventually("all requests have ended", ended).await;
    use HopEnding::{Died, Raised, Returned, TimedOut};
    assert_eq!(outcomes, [Raised, TimedOut, Returned, Died, Returned]);
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
async fn handlers_past_the_deadline_are_shown_as_cancelled() {
    let package = actor::package(PATIENT);
    let service = Krt::run_with_dashboard(package.path()).start().await;
    let http = dashboard(&service).await;
    let deadline = Duration::from_secs(2);
    for text in ["wait", "stubborn"] {
        let refused = service.call_within(deadline, "Act", json!({ "text": text })).await.unwrap_err();
        assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused:?}");
        let shown = async || {
            let page = http.send(Method::GET, "/api/v1/runtimes/actor-v1/requests?limit=1", &[], "").await;
            let RequestPage { mut requests, .. } = page.read(StatusCode::OK);
            Some(requests.remove(0)).filter(|request| request.ending == Ending::Failed)
        };
        let request = eventually("the request has ended", shown).await;
        let [hop] = request.hops.as_slice() else { panic!("{request:#?}") };
        assert_eq!((&*hop.node, hop.outcome), ("actor", HopEnding::Cancelled));
        assert!(hop.handler_ms > 500.0, "it was at work until the deadline: {hop:#?}");
    }
    service.stop().await;
}
