//! Hostile OpenID providers: signing in with them fails, and nothing else does.

use super::{MAX_BYTES, Peer, flood, stay_silent};
use crate::{
    attacks::held_within,
    support::{
        Krt, Service, eventually,
        http::Http,
        team::{PASSWORD, Session, dashboard, version},
    },
};
use futures::future::join_all;
use http::{Method, StatusCode};
use std::{io::Write as _, net::TcpStream};
use tempfile::TempDir;

async fn start(peer: &Peer) -> (Service, TempDir) {
    let described = version("described", "");
    let krt = Krt::serve(described.path())
        .env("KRT_ADMIN_PASSWORD", PASSWORD)
        .flag("--openid-issuer", format!("http://127.0.0.1:{}", peer.port))
        .flag("--openid-client", "krt")
        .flag("--openid-default-role", "viewer")
        .flag("--dashboard-url", "http://krt.test")
        .flag("--max-bytes", MAX_BYTES.to_string());
    (krt.start().await, described)
}

async fn begin(http: &Http) -> StatusCode {
    http.send(Method::GET, "/api/v1/session/openid?next=/", &[], Vec::new()).await.status
}

#[tokio::test]
async fn silent_providers_delay_only_their_own_sign_ins() {
    let peer = Peer::start(stay_silent);
    // The server starts without waiting for the provider, although it sends a request at once.
    let (service, _described) = start(&peer).await;
    let http = dashboard(&service).await;
    let asked = async || (peer.connections() == 1).then_some(());
    eventually("the provider is asked", asked).await;
    let sign_ins = (0..20).map(|_| {
        let http = http.again();
        tokio::spawn(async move { begin(&http).await })
    });
    let sign_ins: Vec<_> = sign_ins.collect();
    // Sign-in with a password works meanwhile.
    Session::open(&http.again(), "admin", PASSWORD).await;
    for status in join_all(sign_ins).await {
        assert_eq!(status.unwrap(), StatusCode::BAD_GATEWAY);
    }
    // All sign-ins shared the request in flight, or the next one.
    assert!(peer.connections() <= 2, "{} connections", peer.connections());
    service.stop().await;
}

type Script = fn(TcpStream) -> std::io::Result<()>;

const ATTACKS: [(&str, Script); 5] = [
    ("closes", |stream| stream.shutdown(std::net::Shutdown::Both)),
    ("an answer that never ends", |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
        flood(&mut stream, &[b'['; 64 << 10], usize::MAX)
    }),
    ("headers that never end", |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        flood(&mut stream, b"a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", usize::MAX)
    }),
    ("sends elsewhere", |mut stream| {
        stream.write_all(b"HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
    }),
    ("wrong types", |mut stream| {
        let body = "{\"issuer\":7,\"jwks_uri\":[],\"authorization_endpoint\":{}}";
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }),
];

#[tokio::test]
async fn invalid_provider_answers_fail_the_sign_in_within_the_bound() {
    join_all(ATTACKS.map(async |(what, attack)| {
        let peer = Peer::start(attack);
        let (service, _described) = start(&peer).await;
        let http = dashboard(&service).await;
        assert_eq!(begin(&http).await, StatusCode::BAD_GATEWAY, "{what}");
        let record = service.lines.wait(what, |record| record.message.contains("OpenID provider")).await;
        assert!(record.message.len() < 4 << 10, "{what}: a record of {} bytes", record.message.len());
        held_within(&service, MAX_BYTES);
        service.stop().await;
    }))
    .await;
}
