//! Refused bodies: their senders can read the reason, and the server does not read bodies of strangers.

use super::held_within;
use crate::{
    backup::Disk,
    support::{Krt, TIMEOUT, http::Http, person::Person, team, team::Team},
};
use bytes::Bytes;
use futures::stream;
use http::{Method, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::Value;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::body::Body;

const MAX_BYTES: u64 = 64 << 20;
const UPLOADS: &str = "/api/v1/runtimes/shop/versions";
const PIECE: usize = 64 << 10;

/// Incompressible bytes.
fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
}

/// Sends a whole body before reading, as simple clients do; returns the answer.
async fn send_first(team: &Team, headers: &str, body: &[u8]) -> String {
    let mut socket = TcpStream::connect(team.api.address()).await.unwrap();
    let head = format!(
        "POST {UPLOADS} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n\
         {headers}content-length: {}\r\n\r\n",
        body.len()
    );
    let exchange = async {
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(body).await.expect("the body is read to its end");
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let read = socket.read_buf(&mut answer).await.expect("the answer comes whole");
            assert!(read > 0, "the answer comes whole");
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(TIMEOUT, exchange).await.expect("it ends")
}

#[tokio::test]
async fn uploads_to_a_full_disk_report_that_it_is_full() {
    let parent = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&parent.path().join("disk"), "192m") else { return };
    let described = team::version("described", "");
    let krt = Krt::serve(described.path()).flag("--max-bytes", "64MiB");
    let team = Team::started_by(krt, &disk.0.join("data")).await;
    team.api
        .post("/runtimes", serde_json::json!({"id": "shop", "name": "Shop"}))
        .await
        .expect(StatusCode::CREATED);
    disk.fill();
    let why = "the server's disk is full";
    let archive = noise(48 << 20);
    let assert_refused = |status: StatusCode, answer: &Value| {
        assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &Value::from("unavailable")));
        assert_eq!(answer["message"], why);
    };
    let bearer = format!("Bearer {}", team.api.token());
    let headers = [("authorization", &*bearer), ("content-type", "application/octet-stream")];
    for http in [Http::one(team.api.address()), Http::two(team.api.address())] {
        let reply = http.send(Method::POST, UPLOADS, &headers, archive.clone()).await;
        assert_refused(reply.status, &reply.json());
    }
    for more in ["", "connection: close\r\n"] {
        let answer = send_first(&team, &format!("authorization: {bearer}\r\n{more}"), &archive).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains(why), "{answer}");
    }
    let file = parent.path().join("large.krt");
    std::fs::write(&file, &archive).unwrap();
    let ada = Person::with_token(&team.api.url(), team.api.token());
    let typed = ada.types(&["version", "create", "--runtime", "shop", file.to_str().unwrap()]).await.why();
    assert!(typed.contains(why), "{typed}");
    held_within(&team, MAX_BYTES);
    team.stop().await;
}

#[tokio::test]
async fn oversized_and_invalid_uploads_are_reported() {
    let data = tempfile::tempdir().unwrap();
    let described = team::version("described", "");
    let krt = Krt::serve(described.path()).flag("--max-bytes", "64MiB").flag("--max-package", "32MiB");
    let team = Team::started_by(krt, data.path()).await;
    team.api
        .post("/runtimes", serde_json::json!({"id": "shop", "name": "Shop"}))
        .await
        .expect(StatusCode::CREATED);
    let authorization = format!("authorization: Bearer {}\r\n", team.api.token());
    for (size, status, why) in [
        (48 << 20, "HTTP/1.1 413 ", "the package has more than 33554432 bytes"),
        (24 << 20, "HTTP/1.1 422 ", "the package cannot be unpacked"),
    ] {
        let answer = send_first(&team, &authorization, &noise(size)).await;
        assert!(answer.starts_with(status) && answer.contains(why), "{answer}");
    }
    held_within(&team, MAX_BYTES);
    team.stop().await;
}

#[tokio::test]
async fn bodies_of_unknown_clients_are_not_read() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    let strangers = [
        (Method::POST, "/api/v1/session", "application/json", StatusCode::PAYLOAD_TOO_LARGE),
        (Method::POST, "/api/v1/users", "application/json", StatusCode::UNAUTHORIZED),
        (Method::POST, UPLOADS, "application/octet-stream", StatusCode::UNAUTHORIZED),
        (Method::PUT, "/api/v1/session/password", "application/json", StatusCode::UNAUTHORIZED),
        (Method::POST, "/api/v1/none", "application/json", StatusCode::NOT_FOUND),
    ];
    for (method, path, kind, expected) in strangers {
        for http in [Http::one(team.api.address()), Http::two(team.api.address())] {
            let sent = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&sent);
            let piece = Bytes::from(vec![b' '; PIECE]);
            let pieces = stream::repeat_with(move || {
                counted.fetch_add(PIECE, Ordering::Relaxed);
                Ok::<_, Infallible>(Frame::data(piece.clone()))
            });
            let body = Body::new(StreamBody::new(pieces));
            let reply = http.stream(method.clone(), path, &[("content-type", kind)], body).await;
            assert_eq!(reply.status, expected, "{path}: {reply:?}");
            // Of an endless body, only the system's buffers and an HTTP/2 window are consumed.
            let sent = sent.load(Ordering::Relaxed);
            assert!(sent <= 24 << 20, "{path}: {} KiB were taken", sent >> 10);
        }
    }
    held_within(&team, MAX_BYTES);
    team.stop().await;
}
