//! A browser on this machine with an attacker's page: it may send requests to any port, under any host name.
//!
//! Bound: no handler runs for a page of an origin that `--allow-origin` does not list, nor for a request to
//! the loopback under a foreign host name, and no such page can read an answer.

use crate::support::{
    Krt, Service, actor,
    http::{Http, Reply},
    team::{Team, dashboard, version},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const ACT: &str = "/actor.Entrypoint/Act";
const BODY: &str = r#"{"text": "act"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");
const EVIL: &str = "https://evil.example";
const APP: &str = "https://app.example.com";

/// A node that leaves a mark when its handler runs.
const ACTS: &str = "
async def act():
    (SCRATCH / 'acted').touch()
    return 'acted'


ACTS['act'] = act
";

async fn start(flags: &[(&str, &str)]) -> Service {
    let package = actor::package(ACTS);
    let krt = flags.iter().fold(Krt::run_at(package.path()), |krt, (flag, value)| krt.flag(flag, value));
    krt.start().await
}

/// Whether the handler has run since the last call.
fn acted(service: &Service) -> bool {
    std::fs::remove_file(service.scratch.path().join("acted")).is_ok()
}

/// Asserts that a page cannot read an answer.
#[track_caller]
fn assert_unreadable(reply: &Reply, status: StatusCode) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert!(
        reply.headers.keys().all(|name| !name.as_str().starts_with("access-control-")),
        "a page could read this: {reply:?}"
    );
}

/// Sends a request over HTTP/2 whose `:authority` may differ from the address.
async fn over_h2(address: SocketAddr, request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Bytes) {
    let socket = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes())
}

fn h2_request(authority: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let request = Request::post(format!("http://{authority}{ACT}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Full::from(BODY)).unwrap()
}

#[tokio::test]
async fn bodies_of_simple_requests_are_not_calls() {
    let service = start(&[]).await;
    let kinds =
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("multipart/form-data")];
    for http in [service.http(), service.h2c()] {
        for kind in kinds {
            let headers: Vec<_> = kind.map(|kind| ("content-type", kind)).into_iter().collect();
            let reply = http.post(ACT, &headers, BODY).await;
            assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind:?}");
            let message = reply.json()["message"].as_str().unwrap().to_owned();
            assert!(message.contains("`content-type: application/json`"), "{message}");
            assert!(!acted(&service), "{kind:?}");
        }
        assert_eq!(http.post(ACT, &[JSON], BODY).await.status, StatusCode::OK);
        assert!(acted(&service));
    }
    service.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_cannot_call() {
    let service = start(&[]).await;
    let foreign: &[&[(&str, &str)]] = &[
        &[("origin", EVIL)],
        &[("origin", "null")],
        &[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")],
        &[("origin", EVIL), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
    ];
    for http in [service.http(), service.h2c()] {
        for headers in foreign {
            let all = [&[JSON], *headers].concat();
            assert_unreadable(&http.post(ACT, &all, BODY).await, StatusCode::FORBIDDEN);
            let image =
                http.send(Method::GET, &format!("{ACT}?encoding=json&message={{}}"), headers, "").await;
            assert_unreadable(&image, StatusCode::FORBIDDEN);
            assert!(image.header("vary").contains("origin"), "{image:?}");
            assert!(!acted(&service), "{headers:?}");
        }
        let refused = http.post(ACT, &[JSON, ("origin", EVIL)], BODY).await.json();
        assert_eq!(refused["code"], "permission_denied");
        assert!(refused["message"].as_str().unwrap().contains("`--allow-origin https://evil.example`"));
        let asks = [("origin", EVIL), ("access-control-request-method", "POST")];
        assert_unreadable(&http.send(Method::OPTIONS, ACT, &asks, "").await, StatusCode::FORBIDDEN);
        // From its own origin, from no page, and from a link to the list of methods.
        let own = format!("http://{}", service.address);
        for headers in [&[("origin", &*own)][..], &[("sec-fetch-site", "none")], &[]] {
            let all = [&[JSON], headers].concat();
            assert_eq!(http.post(ACT, &all, BODY).await.status, StatusCode::OK, "{headers:?}");
            assert!(acted(&service));
        }
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(http.send(Method::GET, "/", &link, "").await.status, StatusCode::OK);
    }
    service.stop().await;
}

#[tokio::test]
async fn pages_of_an_allowed_origin_call_and_read() {
    let service = start(&[("--allow-origin", APP), ("--allow-origin", "http://localhost:3000")]).await;
    let http = service.http();
    let page = ("origin", APP);
    let asks = [
        page,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,connect-protocol-version,x-unknown"),
        ("sec-fetch-site", "cross-site"),
    ];
    let preflight = http.send(Method::OPTIONS, ACT, &asks, "").await;
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-origin")),
        (StatusCode::NO_CONTENT, APP)
    );
    let allowed: Vec<_> = preflight.header("access-control-allow-headers").split(", ").collect();
    for header in
        ["content-type", "content-encoding", "connect-protocol-version", "connect-timeout-ms", "traceparent"]
    {
        assert!(allowed.contains(&header), "{header} is not in {allowed:?}");
    }
    assert!(!allowed.contains(&"x-unknown") && !allowed.contains(&"*"), "{allowed:?}");
    assert_eq!(preflight.header("access-control-allow-methods"), "GET, POST");
    assert_eq!(preflight.header("access-control-max-age"), "7200");
    assert_eq!(preflight.header("vary"), "origin");
    assert!(!acted(&service));

    let answer = http.post(ACT, &[JSON, page, ("sec-fetch-site", "cross-site")], BODY).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"text": "acted"})));
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    assert!(answer.header("access-control-expose-headers").contains("grpc-status"), "{answer:?}");
    assert!(acted(&service));
    // Errors are readable, too.
    let wrong = http.post(ACT, &[JSON, page], "{").await;
    assert_eq!((wrong.status, wrong.header("access-control-allow-origin")), (StatusCode::BAD_REQUEST, APP));

    for near in [
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://app.example.com:8443",
        "null",
    ] {
        assert_unreadable(&http.post(ACT, &[JSON, ("origin", near)], BODY).await, StatusCode::FORBIDDEN);
    }
    service.stop().await;
}

#[tokio::test]
async fn every_origin_may_be_allowed_but_never_with_credentials() {
    let service = start(&[("--allow-origin", "*")]).await;
    let http = service.http();
    for origin in [EVIL, "null"] {
        for method in [Method::OPTIONS, Method::POST] {
            let asks = [JSON, ("origin", origin), ("access-control-request-method", "POST")];
            let reply = http.send(method, ACT, &asks, BODY).await;
            assert!(reply.status.is_success(), "{reply:?}");
            assert_eq!(reply.header("access-control-allow-origin"), "*");
            assert_eq!(reply.header("access-control-allow-credentials"), "");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn dns_rebinding_reaches_nothing() {
    let service = start(&[("--allow-host", "krt.internal")]).await;
    let (http, address) = (service.http(), service.address);
    let own = [
        address.to_string(),
        "localhost:1".to_owned(),
        "[::1]:9000".to_owned(),
        "KRT.internal:80".to_owned(),
    ];
    for host in &own {
        assert_eq!(http.post(ACT, &[JSON, ("host", host)], BODY).await.status, StatusCode::OK, "{host}");
        assert_eq!(over_h2(address, h2_request(host, &[JSON])).await.0, StatusCode::OK, "{host}");
        assert!(acted(&service));
    }
    for host in ["evil.example", "evil.example:9000", "localhost.evil.example", "0.0.0.0:9000", "169.254.1.1"]
    {
        let page = format!("http://{host}");
        // To the browser, the page has the port's own origin.
        let headers = [JSON, ("origin", &*page), ("sec-fetch-site", "same-origin")];
        let refused = http.post(ACT, &[&headers[..], &[("host", host)]].concat(), BODY).await;
        assert_unreadable(&refused, StatusCode::FORBIDDEN);
        assert!(refused.json()["message"].as_str().unwrap().contains("--allow-host"), "{refused:?}");
        assert_eq!(over_h2(address, h2_request(host, &headers)).await.0, StatusCode::FORBIDDEN, "{host}");
        // Over HTTP/2, both names are checked.
        let named = h2_request(&address.to_string(), &[JSON, ("host", host)]);
        assert_eq!(over_h2(address, named).await.0, StatusCode::FORBIDDEN, "{host}");
        let named = h2_request(host, &[JSON, ("host", "localhost")]);
        assert_eq!(over_h2(address, named).await.0, StatusCode::FORBIDDEN, "{host}");
        assert!(!acted(&service), "{host}");
    }
    // gRPC clients receive the reason as a gRPC status.
    let grpc = h2_request("evil.example", &[("content-type", "application/grpc")]);
    let (status, headers, _) = over_h2(address, grpc).await;
    assert_eq!((status, &headers["grpc-status"]), (StatusCode::OK, &http::HeaderValue::from_static("7")));
    service.stop().await;
}

/// A literal header field in HPACK, not in any table.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The first byte of the answer's header block for a request with these fields: 0x88 is status 200.
async fn first_of_answer(address: SocketAddr, authority: Option<&str>) -> u8 {
    let mut block: Vec<u8> = [(":method", "POST"), (":scheme", "http"), (":path", ACT)]
        .into_iter()
        .chain(authority.map(|authority| (":authority", authority)))
        .chain([JSON])
        .flat_map(|(name, value)| field(name, value))
        .collect();
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    request.extend([0, 0, u8::try_from(block.len()).unwrap(), 1, 4, 0, 0, 0, 1]);
    request.append(&mut block);
    request.extend([0, 0, u8::try_from(BODY.len()).unwrap(), 0, 1, 0, 0, 0, 1]);
    request.extend(BODY.as_bytes());
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&request).await.unwrap();
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.unwrap();
        let size = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut frame = vec![0; size];
        socket.read_exact(&mut frame).await.unwrap();
        match head[3] {
            1 => return frame[0],
            3 | 7 => panic!("the stream was reset: {head:?} {frame:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn clients_other_than_browsers_need_no_host_name() {
    let service = start(&[]).await;
    for authority in [None, Some("localhost"), Some("localhost:0"), Some("127.0.0.1"), Some("[::1]:1")] {
        assert_eq!(first_of_answer(service.address, authority).await, 0x88, "{authority:?}");
        assert!(acted(&service));
    }
    assert_ne!(first_of_answer(service.address, Some("evil.example")).await, 0x88);
    assert!(!acted(&service));
    service.stop().await;
}

/// Attacks the port of the dashboard and its API.
async fn attack_dashboard(http: &Http, address: SocketAddr) {
    let (read, written) = ("/api/v1/server", "/api/v1/session");
    let get = async |path: &str, headers: &[(&str, &str)]| http.send(Method::GET, path, headers, "").await;
    for headers in [
        &[("origin", EVIL)][..],
        &[("origin", "null")],
        &[("origin", "http://localhost:3000")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        &[("sec-fetch-site", "same-site")],
        &[("host", "evil.example")],
    ] {
        for path in [read, "/api/v1/events", "/api/v1/openapi.json", "/", "/nothing"] {
            assert_unreadable(&get(path, headers).await, StatusCode::FORBIDDEN);
        }
        let all = [&[JSON], headers].concat();
        let sign_in = json!({"login": "admin", "password": "x"}).to_string();
        assert_unreadable(&http.post(written, &all, sign_in).await, StatusCode::FORBIDDEN);
        let asks = [headers, &[("access-control-request-method", "POST")]].concat();
        assert_unreadable(&http.send(Method::OPTIONS, written, &asks, "").await, StatusCode::FORBIDDEN);
    }
    let authority = Request::get(format!("http://evil.example{read}")).body(Full::default()).unwrap();
    assert_eq!(over_h2(address, authority).await.0, StatusCode::FORBIDDEN);
    let link =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(get("/", &link).await.status, StatusCode::OK);
    assert_unreadable(&get(read, &link).await, StatusCode::FORBIDDEN);
    let frame =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    assert_unreadable(&get("/", &frame).await, StatusCode::FORBIDDEN);
    for path in ["/", read, "/api/v1/nothing"] {
        let reply = get(path, &[("sec-fetch-site", "same-origin")]).await;
        assert!(
            reply.header("content-security-policy").contains("frame-ancestors 'none'"),
            "{path} {reply:?}"
        );
        assert_eq!(reply.header("x-frame-options"), "DENY");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
    }
}

#[tokio::test]
async fn the_dashboard_answers_its_own_pages_only() {
    let package = version("v1", "");
    let krt = Krt::run_with_dashboard(package.path()).flag("--allow-origin", "*");
    let service = krt.flag("--allow-host", "krt.internal").start().await;
    let http = dashboard(&service).await;
    // An origin that may call the service may not read the dashboard.
    attack_dashboard(&http, http.address()).await;
    let named = http.send(Method::GET, "/api/v1/server", &[("host", "krt.internal")], "").await;
    assert_eq!(named.status, StatusCode::OK);
    service.stop().await;
}

#[tokio::test]
async fn a_team_server_answers_its_pages_and_runtime_hosts() {
    let data = tempfile::tempdir().unwrap();
    let described = version("described", "");
    let krt = Krt::serve(described.path()).flag("--dashboard-url", "https://krt.example.com");
    let team = Team::started_by(krt, data.path()).await;
    attack_dashboard(team.api.http(), team.api.address()).await;
    let proxied = [("host", "krt.example.com"), ("origin", "https://krt.example.com")];
    let page = team.api.http().send(Method::GET, "/api/v1/server", &proxied, "").await;
    assert_eq!(page.status, StatusCode::OK);

    let new = json!({"id": "shop", "name": "The shop", "hosts": ["shop.example.com"]});
    team.api.post("/runtimes", new).await.expect(StatusCode::CREATED);
    let call = async |host: &str| {
        let reply = team.http().post("/names.Entrypoint/Name", &[JSON, ("host", host)], "{}").await;
        reply.status
    };
    // No version is published yet, so a call that passes the check fails as unavailable.
    assert_eq!(call("shop.example.com").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(call("evil.example").await, StatusCode::FORBIDDEN);
    team.stop().await;
}

#[tokio::test]
async fn the_metrics_port_answers_no_foreign_pages() {
    let service = start(&[("--metrics", "127.0.0.1:0"), ("--allow-host", "krt.local")]).await;
    let record = service.lines.wait("the port", |record| record.message.starts_with("metrics are at ")).await;
    let address = record.message.strip_prefix("metrics are at http://").unwrap();
    let http = Http::one(address.strip_suffix("/metrics").unwrap().parse().unwrap());
    for headers in [
        &[("origin", EVIL)][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("host", "evil.example")],
        &[("host", "127.0.0.1.evil.example")],
    ] {
        let reply = http.send(Method::GET, "/metrics", headers, "").await;
        assert_unreadable(&reply, StatusCode::FORBIDDEN);
        assert!(!String::from_utf8_lossy(&reply.body).contains("krt_"), "{reply:?}");
    }
    for headers in [&[][..], &[("host", "localhost:9100")], &[("host", "krt.local")]] {
        let reply = http.send(Method::GET, "/metrics", headers, "").await;
        assert_eq!(reply.status, StatusCode::OK, "{headers:?}");
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
    }
    service.stop().await;
}
