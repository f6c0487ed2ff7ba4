//! Attempts to sign in that lock others out, cost memory, or forge entries of the audit log.

use crate::{
    attacks::held_within,
    support::{
        Krt,
        http::{Http, Reply},
        service::Service,
        team::{PASSWORD, Session, Team, dashboard, version},
        tls::SelfSigned,
    },
};
use futures::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore},
};

/// A password that no user has.
const WRONG: &str = "another long password";
/// The memory for hashing two passwords at once, bytes.
const HASHES: u64 = 2 * (19 << 20);

async fn tries(http: &Http, login: &str, password: &str) -> Reply {
    http.post_json("/api/v1/session", &json!({"login": login, "password": password})).await
}

fn loopback(last: [u8; 2]) -> IpAddr {
    Ipv4Addr::new(127, 0, last[0], last[1]).into()
}

/// Bound: while one address has exhausted its attempts for a user, that user can sign in from another
/// address.
#[tokio::test(flavor = "multi_thread")]
async fn other_addresses_do_not_lock_users_out() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    let eve = team.api.http().from(loopback([0, 66]));
    let mut tried = 0;
    loop {
        let reply = tries(&eve, "admin", WRONG).await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        reply.expect(StatusCode::UNAUTHORIZED);
        tried += 1;
    }
    assert!(tried >= 8, "{tried}");
    // From there, the right password fails as well; from elsewhere, the user can sign in.
    tries(&eve, "admin", PASSWORD).await.expect(StatusCode::TOO_MANY_REQUESTS);
    for last in 1..=3 {
        let http = team.api.http().from(loopback([0, last]));
        tries(&http, "admin", PASSWORD).await.expect(StatusCode::OK);
    }
    team.stop().await;
}

/// Bound: 400 concurrent attempts from 50 addresses take no more memory than hashing two passwords, and the
/// right password works afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_attempts_take_bounded_memory() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    let clients: Vec<_> = (0..50).map(|last| team.api.http().from(loopback([1, last + 1]))).collect();
    let attempts = clients.iter().flat_map(|http| {
        (0..8).map(async move |number| tries(http, &format!("user{number}"), WRONG).await.status)
    });
    let statuses = join_all(attempts).await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    let (looked, busy) = (count(StatusCode::UNAUTHORIZED), count(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(looked + busy, statuses.len(), "{statuses:?}");
    assert!(looked >= 256, "{looked}");
    held_within(&team, HASHES);
    tries(team.api.http(), "admin", PASSWORD).await.expect(StatusCode::OK);
    team.stop().await;
}

/// Bound: a client that is not a trusted proxy is identified by its own address, whatever its
/// `X-Forwarded-For` says.
#[tokio::test(flavor = "multi_thread")]
async fn forged_client_addresses_are_ignored() {
    let data = tempfile::tempdir().unwrap();
    let described = version("described", "");
    let krt = Krt::serve(described.path()).flag("--trusted-proxy", "127.0.0.10,127.0.9.0/24");
    let team = Team::started_by(krt, data.path()).await;
    let from = |last| team.api.http().from(loopback(last));
    let fails = async |http: &Http, seen: &str| {
        let headers = [("content-type", "application/json"), ("x-forwarded-for", seen)];
        let body = json!({"login": "admin", "password": WRONG}).to_string();
        http.post("/api/v1/session", &headers, body).await.expect(StatusCode::UNAUTHORIZED);
        let audit = team.api.get("/audit?action=sign_in_failed&limit=1").await.json();
        audit["entries"][0]["comment"].as_str().unwrap().to_owned()
    };
    let (proxy, other) = (from([0, 10]), from([0, 11]));
    assert_eq!(fails(&proxy, "192.0.2.7").await, "from 192.0.2.7");
    assert_eq!(fails(&from([9, 1]), "192.0.2.1, 2001:db8::7, 127.0.0.10").await, "from 2001:db8::7");
    assert_eq!(fails(&other, "192.0.2.7").await, "from 127.0.0.11");
    assert_eq!(fails(&other, "127.0.0.10").await, "from 127.0.0.11");
    team.stop().await;
}

/// Bound: no user can have one of these as password.
#[tokio::test(flavor = "multi_thread")]
async fn common_passwords_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    team.user("margaret.hamilton", "viewer").await;
    let weak =
        ["password1234", "P@ssw0rd12345", "qwertyuiop123", "iloveyou12345", "aaaaaaaaaaaa", "123456789012"];
    for password in weak {
        let new = json!({"login": "ida", "role": "viewer", "password": password});
        let refused = team.api.post("/users", new).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused["message"], "the password is too easy to guess", "{password}");
        let change = json!({"current": PASSWORD, "new": password});
        team.api.put("/session/password", change).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let change = json!({"password": "Margaret.Hamilton1"}).to_string();
    let path = "/users/margaret.hamilton";
    let reply = team.api.send(Method::PATCH, path, "application/json", change.into()).await;
    reply.expect(StatusCode::UNPROCESSABLE_ENTITY);
    tries(team.api.http(), "admin", PASSWORD).await.expect(StatusCode::OK);
    team.stop().await;

    // Neither can the first user.
    let data = tempfile::tempdir().unwrap();
    let described = version("described", "");
    let krt = Krt::serve(described.path()).data(data.path()).env("KRT_ADMIN_PASSWORD", "password1234");
    let ended = krt.end().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.lines.text().contains("the password is too easy to guess"), "{}", ended.lines.text());
}

/// A server whose OpenID provider is unreachable.
async fn without_provider(data: &std::path::Path) -> (Service, Http) {
    let described = version("described", "");
    let krt = Krt::serve(described.path()).data(data).env("KRT_ADMIN_PASSWORD", PASSWORD);
    let krt = krt.flag("--openid-issuer", "http://127.0.0.1:1").flag("--openid-client", "krt");
    let service = krt.flag("--dashboard-url", "http://krt.test").start().await;
    let http = dashboard(&service).await;
    (service, http)
}

/// Bound: an unsolicited callback neither shows nor stores its content, and is refused after a few dozen
/// attempts.
#[tokio::test(flavor = "multi_thread")]
async fn unsolicited_callbacks_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let (service, http) = without_provider(data.path()).await;
    let admin = Session::open(&http, "admin", PASSWORD).await;
    let path = "/api/v1/session/openid/callback";
    let forged = [
        "error=marker&error_description=marker",
        "state=marker&error=access_denied&error_description=marker",
        "state=marker&code=marker",
        "code=marker",
        "",
    ];
    let headers = [("cookie", "krt_openid=marker")];
    let mut refused = 0;
    for query in forged.iter().cycle().take(60) {
        let reply = http.send(Method::GET, &format!("{path}?{query}"), &headers, "").await;
        let page = String::from_utf8_lossy(&reply.body);
        assert!(!page.contains("marker"), "{page}");
        assert_eq!(reply.header("set-cookie"), "");
        match reply.status {
            StatusCode::FORBIDDEN => assert!(page.contains("not begun in this browser"), "{page}"),
            status => {
                assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{page}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    // It delays neither users with passwords nor other addresses.
    let elsewhere = http.from(loopback([0, 2])).send(Method::GET, path, &headers, "").await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN);
    let audit = http.send(Method::GET, "/api/v1/audit", &[("cookie", &*admin.cookie)], "").await;
    let entries = audit.expect(StatusCode::OK)["entries"].as_array().unwrap().clone();
    assert!(entries.iter().all(|entry| entry["action"] != "sign_in_failed"), "{entries:?}");
    let ended = service.stop().await;
    assert!(!ended.lines.text().contains("marker"), "{}", ended.lines.text());
}

/// Bound: the audit log stays within its size and records its pruning, and failed sign-ins displace no other
/// entries.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_bounded() {
    let data = tempfile::tempdir().unwrap();
    let started = async || {
        let described = version("described", "");
        let krt = Krt::serve(described.path()).flag("--keep-audit-size", "16KiB");
        Team::started_by(krt.flag("--keep-audit-days", "30"), data.path()).await
    };
    let team = started().await;
    team.user("grace", "viewer").await;
    for number in 0..60 {
        let change = json!({"comment": format!("{number} {}", "x".repeat(400))}).to_string().into();
        let changed = team.api.send(Method::PATCH, "/users/grace", "application/json", change).await;
        changed.expect(StatusCode::OK);
    }
    let entries = |audit: &Value| audit["entries"].as_array().unwrap().clone();
    let all = entries(&team.api.get("/audit?limit=500").await.expect(StatusCode::OK));
    assert!(all.len() > 60);
    team.stop().await;

    let team = started().await;
    let pruned = entries(&team.api.get("/audit?action=audit_pruned").await.expect(StatusCode::OK));
    assert_eq!((pruned.len(), &pruned[0]["login"]), (1, &json!("krt")), "{pruned:?}");
    assert!(pruned[0]["comment"].as_str().unwrap().contains(" for their size"), "{pruned:?}");
    let left = entries(&team.api.get("/audit?limit=500").await.expect(StatusCode::OK));
    let changes: Vec<_> = left.iter().filter(|entry| entry["action"] == "user_changed").collect();
    assert!((10..40).contains(&changes.len()), "{}", changes.len());
    assert!(changes[0]["comment"].as_str().unwrap().starts_with("59 "), "{}", changes[0]);
    team.stop().await;
}

/// The head of an answer over TLS.
async fn head(http: &Http, signed: &SelfSigned, request: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(signed.made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let socket = TcpStream::connect(http.address()).await.unwrap();
    let name = "localhost".to_owned().try_into().unwrap();
    let mut socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The test does not depend on how TLS ends.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).to_ascii_lowercase()
}

/// Bound: with TLS, every answer on the dashboard's port requires browsers to use TLS only, and its cookies
/// are sent over TLS only.
#[tokio::test(flavor = "multi_thread")]
async fn browsers_must_keep_using_tls() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let described = version("described", "");
    let signed = SelfSigned::new(folder.path(), "server");
    let krt = Krt::serve(described.path()).data(data.path()).env("KRT_ADMIN_PASSWORD", PASSWORD);
    let krt = krt.flag("--tls-cert", &signed.certificate).flag("--tls-key", &signed.key);
    let service = krt.start().await;
    let start = "the dashboard is at https://";
    let record = service.lines.wait("the dashboard", |record| record.message.starts_with(start)).await;
    let http = Http::one(record.message[start.len()..].parse().unwrap());
    let body = json!({"login": "admin", "password": PASSWORD}).to_string();
    let sign_in = format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let answers = [sign_in, get("/"), get("/api/v1/session"), get("/api/nothing")];
    for request in &answers {
        let answer = head(&http, &signed, request).await;
        assert!(answer.contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{answer}");
        for cookie in answer.lines().filter(|line| line.starts_with("set-cookie")) {
            assert!(cookie.contains("httponly") && cookie.ends_with("secure"), "{cookie}");
        }
    }
    service.stop().await;

    // Without TLS, the header is absent: otherwise browsers could not return.
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    assert_eq!(team.api.get("/runtimes").await.header("strict-transport-security"), "");
    team.stop().await;
}
