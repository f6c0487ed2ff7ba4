//! The same methods over HTTP, by the unary rules of the Connect protocol.

use crate::support::{Krt, Service, http::Reply};
use base64::{
    Engine as _,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use flate2::{Compression, write::GzEncoder};
use http::{Method, StatusCode};
use prost_reflect::{DynamicMessage, prost::Message as _};
use serde_json::{Value, json};
use std::io::Write as _;

const ECHO: &str = "/shop.v1.Entrypoint/Echo";
const JSON: (&str, &str) = ("content-type", "application/json");

fn basket() -> Value {
    json!({
        "note": "naïve ☃",
        "number": "9007199254740993",
        "image": "AP8=",
        "state": "PAID",
        "items": [{ "name": "tea", "price": { "currency": "EUR", "cents": "350" } }],
        "weights": { "tea": 0.25 },
        "madeAt": "2024-02-29T12:30:15.250Z",
    })
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn assert_error(reply: &Reply, status: u16, code: &str, message: &str) {
    assert_eq!(reply.header("content-type"), "application/json", "{reply:?}");
    assert_eq!((reply.status.as_u16(), reply.json()), (status, json!({ "code": code, "message": message })));
}

#[tokio::test]
async fn json_requests_and_answers() {
    let service = Krt::run("echo").start().await;
    for http in [service.http(), service.h2c()] {
        let reply = http.post_json(ECHO, &basket()).await;
        assert_eq!((reply.status, reply.json()), (StatusCode::OK, basket()));
        assert_eq!(reply.header("content-type"), "application/json");
    }
    let http = service.http();
    let rows = [
        ("", json!({})),
        ("  \n", json!({})),
        ("{}", json!({})),
        (r#"{"made_at": "2024-01-01T00:00:00Z"}"#, json!({ "madeAt": "2024-01-01T00:00:00Z" })),
        (r#"{"number": 7, "state": 1}"#, json!({ "number": "7", "state": "PAID" })),
        (r#"{"note": null}"#, json!({})),
    ];
    for (body, expected) in rows {
        for headers in [&[JSON][..], &[("content-type", "application/json; charset=utf-8")]] {
            let reply = http.post(ECHO, headers, body).await;
            assert_eq!((reply.status, reply.json()), (StatusCode::OK, expected.clone()), "{body}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn protobuf_requests_and_answers() {
    let service = Krt::run("echo").start().await;
    let method = service.client().method("Echo");
    let message = DynamicMessage::deserialize(method.input(), basket()).unwrap().encode_to_vec();
    for http in [service.http(), service.h2c()] {
        let reply = http.post(ECHO, &[("content-type", "application/proto")], message.clone()).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("content-type"), "application/proto");
        let answer = DynamicMessage::decode(method.output(), reply.body).unwrap();
        assert_eq!(serde_json::to_value(answer).unwrap(), basket());
    }
    let http = service.http();
    let bad = http.post(ECHO, &[("content-type", "application/proto")], &b"\x0a\x05ab"[..]).await;
    let message = "the request's message is not a shop.v1.Basket: field `shop.v1.Basket.note` is cut short";
    assert_error(&bad, 400, "invalid_argument", message);
    service.stop().await;
}

#[tokio::test]
async fn errors_are_json_with_a_code_and_a_status() {
    let service = Krt::run("echo").start().await;
    let http = service.http();
    let failed = http.post_json(ECHO, &json!({ "note": "fail \"so\"" })).await;
    assert_error(&failed, 500, "internal", "error in 'echo': fail \"so\"");
    let idle = http.post_json("/shop.v1.Entrypoint/Idle", &json!({})).await;
    let message = "no workflow of this version implements `/shop.v1.Entrypoint/Idle`";
    assert_error(&idle, 501, "unimplemented", message);
    let nothing = http.post_json("/shop.v1.Entrypoint/Nothing", &json!({})).await;
    let message = "there is no method `/shop.v1.Entrypoint/Nothing`; hint: `/package.Service/Method`, as in the \
                   entrypoint's .proto";
    assert_error(&nothing, 404, "unimplemented", message);
    service.stop().await;
}

#[tokio::test]
async fn invalid_json_has_a_location() {
    let service = Krt::run("echo").start().await;
    let http = service.http();
    let rows = [
        (r#"{"nope": 1}"#, &["nope", "line 1 column"][..]),
        (r#"{"items": [{"cost": 1}]}"#, &["field `items[0]`", "cost"]),
        (r#"{"number": "many"}"#, &["field `number`", "line 1 column"]),
        (r#"{"state": "LOST"}"#, &["LOST"]),
        (r#"{"note": 1}"#, &["line 1 column"]),
        (r#"{"note": "a"} {}"#, &["trailing characters"]),
        ("[]", &["line 1 column"]),
        ("{", &["line 1 column"]),
        ("\u{feff}{}", &["line 1 column"]),
    ];
    for (body, parts) in rows {
        let reply = http.post(ECHO, &[JSON], body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()["code"].clone()),
            (400, json!("invalid_argument")),
            "{body}"
        );
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        let start = "the request's JSON is not a shop.v1.Basket: ";
        for part in parts.iter().chain([&start]) {
            assert!(message.contains(part), "{body}: {message}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn client_timeouts() {
    let service = Krt::run("echo").start().await;
    let http = service.http();
    let late = http.post(ECHO, &[JSON, ("connect-timeout-ms", "200")], r#"{"note": "wait"}"#).await;
    assert_error(&late, 504, "deadline_exceeded", "no answer within 0.2 s");
    service.scratch.wait("begun").await;
    for bad in ["soon", "-1", "12345678901"] {
        let reply = http.post(ECHO, &[JSON, ("connect-timeout-ms", bad)], "{}").await;
        let message = "the header `connect-timeout-ms` must be 1 to 10 digits";
        assert_error(&reply, 400, "invalid_argument", message);
    }
    let good = http.post(ECHO, &[JSON, ("connect-timeout-ms", "20000")], "{}").await;
    assert_eq!(good.status, StatusCode::OK);
    service.stop().await;
}

#[tokio::test]
async fn compressed_bodies() {
    let service = Krt::run("echo").start().await;
    let http = service.http();
    let compressed = gzip(basket().to_string().as_bytes());
    let reply = http.post(ECHO, &[JSON, ("content-encoding", "gzip")], compressed).await;
    assert_eq!((reply.status, reply.json()), (StatusCode::OK, basket()));
    let plain = http.post(ECHO, &[JSON, ("content-encoding", "identity")], basket().to_string()).await;
    assert_eq!(plain.json(), basket());
    let text = basket().to_string();
    let twice = gzip(&gzip(text.as_bytes()));
    let halves = text.as_bytes().split_at(5);
    let members = [gzip(halves.0), gzip(halves.1)].concat();
    for (coding, body) in [
        ("", text.clone().into_bytes()),
        ("GZip", gzip(text.as_bytes())),
        ("x-gzip", members.clone()),
        ("identity, gzip", members),
        ("gzip, gzip", twice),
    ] {
        let reply = http.post(ECHO, &[JSON, ("content-encoding", coding)], body).await;
        assert_eq!((reply.status, reply.json()), (StatusCode::OK, basket()), "{coding}");
    }
    for (coding, named) in [("br", "br"), ("gzip, Deflate", "deflate")] {
        let other = http.post(ECHO, &[JSON, ("content-encoding", coding)], "{}").await;
        let message = format!("bodies compressed with `{named}` are not understood, only with `gzip`");
        assert_error(&other, 415, "unimplemented", &message);
        assert_eq!(other.header("accept-encoding"), "gzip, identity");
    }
    let whole = gzip(text.as_bytes());
    let mut wrong = whole.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let cut = whole[..whole.len() - 1].to_vec();
    for (name, body) in [("garbage", [&whole[..], b"garbage"].concat()), ("length", wrong), ("cut", cut)] {
        let reply = http.post(ECHO, &[JSON, ("content-encoding", "gzip")], body).await;
        assert_eq!(reply.json()["code"], "invalid_argument", "{name}");
    }
    let lie = http.post(ECHO, &[JSON, ("content-encoding", "gzip")], "{}").await;
    assert_eq!((lie.status.as_u16(), lie.json()["code"].clone()), (400, json!("invalid_argument")));
    service.stop().await;
}

#[tokio::test]
async fn a_method_without_side_effects_is_called_with_get() {
    const LOOK: &str = "/shop.v1.Entrypoint/Look";
    let service = Krt::run("echo").start().await;
    let message = DynamicMessage::deserialize(service.client().method("Look").input(), basket())
        .unwrap()
        .encode_to_vec();
    let json = "%7B%22note%22%3A%20%22na%C3%AFve%22%7D";
    let (note, whole) = (json!({ "note": "naïve" }), basket());
    let coded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let text = basket().to_string();
    for http in [service.http(), service.h2c()] {
        for (query, expected) in [
            (format!("connect=v1&encoding=json&message={json}"), &note),
            (format!("message={json}&encoding=json&unknown=1"), &note),
            (format!("encoding=json&base64=1&message={}", coded(text.as_bytes())), &whole),
            (format!("encoding=json&base64=1&message={}", URL_SAFE.encode(&text)), &whole),
            (
                format!("encoding=json&base64=1&compression=gzip&message={}", coded(&gzip(text.as_bytes()))),
                &whole,
            ),
            ("encoding=json&message=".to_owned(), &json!({})),
        ] {
            let reply = http.send(Method::GET, &format!("{LOOK}?{query}"), &[], "").await;
            assert_eq!((reply.status, reply.json()), (StatusCode::OK, expected.clone()), "{query}");
        }
        let query = format!("connect=v1&encoding=proto&base64=1&message={}", coded(&message));
        let reply = http.send(Method::GET, &format!("{LOOK}?{query}"), &[], "").await;
        assert_eq!((reply.header("content-type"), &reply.body[..]), ("application/proto", &message[..]));
    }
    let http = service.http();
    for (query, status, code, message) in [
        ("encoding=json", 400, "invalid_argument", "the parameter `message` is missing"),
        ("message=%7B%7D", 400, "invalid_argument", "the parameter `encoding` must be json or proto"),
        (
            "connect=v2&encoding=json&message=%7B%7D",
            400,
            "invalid_argument",
            "the parameter `connect` must be v1",
        ),
        (
            "encoding=json&compression=br&message=a",
            501,
            "unimplemented",
            "the parameter `compression` must be gzip or identity",
        ),
    ] {
        let reply = http.send(Method::GET, &format!("{LOOK}?{query}"), &[], "").await;
        assert_error(&reply, status, code, message);
    }
    let reply = http.send(Method::GET, &format!("{LOOK}?encoding=proto&base64=1&message=*"), &[], "").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let reply = http.send(Method::DELETE, LOOK, &[], "").await;
    assert_eq!((reply.status, reply.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, POST"));
    assert_eq!(http.post_json(LOOK, &whole).await.json(), whole, "POST works as well");
    service.stop().await;
}

#[tokio::test]
async fn invalid_calls() {
    let service = Krt::run("echo").start().await;
    let http = service.http();
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let reply = http.send(method.clone(), ECHO, &[], "").await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(reply.header("allow"), "POST");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let reply = http.post(ECHO, &[("content-type", kind)], "{}").await;
        assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
        assert_eq!(reply.header("accept-post"), "application/json, application/proto");
    }
    let other = http.post(ECHO, &[JSON, ("connect-protocol-version", "2")], "{}").await;
    assert_error(&other, 400, "invalid_argument", "the header `connect-protocol-version` must be 1");
    for path in ["/nothing", "/shop.v1.Entrypoint", "/shop.v1.Entrypoint/Echo/", "//"] {
        assert_eq!(http.post_json(path, &json!({})).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let index = http.send(Method::GET, "/", &[], "").await;
    let text = std::str::from_utf8(&index.body).unwrap();
    assert!(text.contains("POST /shop.v1.Entrypoint/Echo   shop.v1.Basket -> shop.v1.Basket\n"), "{text}");
    assert!(
        text.contains("POST /shop.v1.Entrypoint/Idle   shop.v1.Basket -> shop.v1.Basket  (no workflow)\n")
    );
    service.stop().await;
}

#[tokio::test]
async fn sizes() {
    let service = Krt::run("echo").flag("--max-message", "4KiB").start().await;
    for http in [service.http(), service.h2c()] {
        let fits = http.post_json(ECHO, &json!({ "note": "x".repeat(4000) })).await;
        assert_eq!(fits.status, StatusCode::OK);
        let body = json!({ "note": "x".repeat(4096) }).to_string();
        let large = http.post(ECHO, &[JSON], body.clone()).await;
        let message = format!("the request's message has {} bytes, the limit is 4096", body.len());
        assert_error(&large, 429, "resource_exhausted", &message);
        let bomb = gzip(&vec![b' '; 1 << 20]);
        let bomb = http.post(ECHO, &[JSON, ("content-encoding", "gzip")], bomb).await;
        let message = "the request's message has more than the limit of 4096 bytes when it is decompressed";
        assert_error(&bomb, 429, "resource_exhausted", message);
    }
    still_serves(&service).await;
    service.stop().await;
}

async fn still_serves(service: &Service) {
    assert_eq!(service.call("Echo", json!({ "note": "well" })).await.unwrap(), json!({ "note": "well" }));
}
