//! Requests that are too large, or not of the API.

use super::{Snapshot, refused};
use crate::support::team::{PASSWORD, Session, Team};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn invalid_requests_are_refused_in_one_format() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.upload("v1", "").await;
    let before = Snapshot::of(&team, data.path()).await;
    let v1 = "/runtimes/shop/versions/v1";
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let rows = [
        (Method::POST, "/runtimes".to_owned(), "", StatusCode::BAD_REQUEST, "invalid"),
        (Method::POST, "/runtimes".to_owned(), "{\"id\":", StatusCode::BAD_REQUEST, "invalid"),
        (
            Method::POST,
            "/runtimes".to_owned(),
            "{\"id\": 1, \"name\": \"x\"}",
            StatusCode::BAD_REQUEST,
            "invalid",
        ),
        (
            Method::POST,
            "/runtimes".to_owned(),
            "{\"id\": \"a\", \"name\": \"a\", \"root\": 1}",
            StatusCode::BAD_REQUEST,
            "invalid",
        ),
        (Method::POST, "/runtimes".to_owned(), &*deep, StatusCode::BAD_REQUEST, "invalid"),
        (
            Method::POST,
            "/runtimes".to_owned(),
            "{\"id\": \"../x\", \"name\": \"x\"}",
            StatusCode::UNPROCESSABLE_ENTITY,
            "unprocessable",
        ),
        (
            Method::POST,
            "/runtimes".to_owned(),
            "{\"id\": \"shop\", \"name\": \"x\"}",
            StatusCode::CONFLICT,
            "conflict",
        ),
        (Method::POST, format!("{v1}/publish"), "{}", StatusCode::CONFLICT, "conflict"),
        (Method::POST, format!("{v1}/explode"), "{}", StatusCode::NOT_FOUND, "not_found"),
        (Method::PUT, "/runtimes".to_owned(), "{}", StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        (Method::POST, v1.to_owned(), "{}", StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        (Method::GET, "/runtimes/..%2f..%2fetc/logs".to_owned(), "", StatusCode::NOT_FOUND, "not_found"),
        (Method::GET, "/runtimes/%ff".to_owned(), "", StatusCode::BAD_REQUEST, "invalid"),
        (Method::GET, format!("{v1}/docs/files/..%2f..%2fkrt.yml"), "", StatusCode::NOT_FOUND, "not_found"),
        (Method::GET, "/runtimes/shop/logs?limit=1000000".to_owned(), "", StatusCode::BAD_REQUEST, "invalid"),
        (Method::GET, "/runtimes/shop/logs?cursor=x".to_owned(), "", StatusCode::BAD_REQUEST, "invalid"),
        (Method::GET, "/nothing".to_owned(), "", StatusCode::NOT_FOUND, "not_found"),
    ];
    for (method, path, body, status, code) in rows {
        let reply = team.api.send(method.clone(), &path, "application/json", body.into()).await;
        assert_eq!(reply.status, status, "{method} {path} {reply:?}");
        refused(&reply, status, code);
    }
    assert_eq!(Snapshot::of(&team, data.path()).await, before);
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_bodies_are_refused_before_they_are_stored() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::with_shop(data.path()).await;
    team.upload("v1", "").await;
    let session = Session::open(team.api.http(), "admin", PASSWORD).await;
    let before = Snapshot::of(&team, data.path()).await;
    // Bodies of unauthorized clients, which need not be read, are answered, too.
    let large = vec![b' '; 16 << 20];
    let forged = team.api.with_token("krt_forged");
    for api in [&forged, &team.user("vera", "viewer").await] {
        let reply = api.upload(large.clone()).await;
        let known = [(StatusCode::UNAUTHORIZED, "unauthenticated"), (StatusCode::FORBIDDEN, "forbidden")];
        let (status, code) = known.into_iter().find(|(status, _)| *status == reply.status).unwrap();
        refused(&reply, status, code);
    }
    team.api.send(Method::DELETE, "/users/vera", "", Vec::new()).await.expect(StatusCode::NO_CONTENT);
    // Any client may send a request to sign in.
    let headers = [("content-type", "application/json")];
    let reply = team.api.http().post("/api/v1/session", &headers, large).await;
    refused(&reply, StatusCode::PAYLOAD_TOO_LARGE, "too_large");

    // Texts within a body have limits of their own.
    let long = "x".repeat(1 << 20);
    for (path, body) in [
        ("/runtimes", json!({"id": "other", "name": long})),
        ("/runtimes", json!({"id": "other", "name": "x", "description": long})),
        ("/runtimes", json!({"id": "other", "name": "x", "hosts": [long]})),
        ("/users", json!({"login": long, "role": "viewer", "password": PASSWORD})),
        ("/users", json!({"login": "zoe", "role": "viewer", "password": long})),
        ("/tokens", json!({"name": long, "role": "viewer"})),
        ("/runtimes/shop/boards", json!({"name": long, "charts": []})),
    ] {
        let reply = team.api.post(path, body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {reply:?}");
        refused(&reply, StatusCode::UNPROCESSABLE_ENTITY, "unprocessable");
    }
    let reply = team.api.post("/runtimes/shop/versions/v1/start", json!({"comment": long})).await;
    refused(&reply, StatusCode::BAD_REQUEST, "invalid");
    assert_eq!(Snapshot::of(&team, data.path()).await, before);
    drop(session);
    team.stop().await;
}

/// Sends a request head with raw headers; returns the response.
async fn raw(team: &Team, headers: &str) -> String {
    let address = team.api.http().address();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head =
        format!("GET /api/v1/server HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    // Fails if the server has closed the connection.
    let _ = socket.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_bounded() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    let line = |size: usize| format!("x-large: {}\r\n", "x".repeat(size));
    assert!(raw(&team, &line(8 << 10)).await.starts_with("HTTP/1.1 200 "));
    let answer = raw(&team, &line(64 << 10)).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["code"], "too_large");
    // A header that is too large, and too many headers.
    for headers in [line(1 << 20), line(10).repeat(200)] {
        let answer = raw(&team, &headers).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    team.api.get("/server").await.expect(StatusCode::OK);
    team.stop().await;
}
