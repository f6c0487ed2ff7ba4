//! Requests and answers that take more memory than their size suggests.
//!
//! Bound: the engine never holds more than `--max-bytes` and 64 MiB, keeps answering, and answers a good
//! request of the same kind after each attack.

use super::held_within;
use crate::support::{
    Krt, Service,
    http::{Http, Reply},
    krt::write_package,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{
    StreamExt as _,
    future::join_all,
    stream::{self, FuturesUnordered},
};
use http::StatusCode;
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::{convert::Infallible, io::Write as _};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tonic::{Code, Status};

const MAX_BYTES: u64 = 64 << 20;
/// A message a little below the size limit, bytes.
const LARGE: usize = 15 << 20;
/// The number of concurrent requests.
const MANY: usize = 24;

const MANIFEST: &str = "\
version: memory-v1
description: Takes and makes large messages.
entrypoint:
  proto: public_input.proto
nodes:
  - name: size
    src: src/size/main.py
  - name: make
    src: src/make/main.py
workflows:
  - name: sizes
    entrypoint: Size
    sequential:
      - size
  - name: makes
    entrypoint: Make
    sequential:
      - make
";

const PROTO: &str = "\
syntax = \"proto3\";
package memory;
import \"google/protobuf/struct.proto\";
service Entrypoint {
  rpc Size(Body) returns (Count);
  rpc Make(Count) returns (Body);
}
message Body {
  bytes data = 1;
  google.protobuf.Value value = 2;
  repeated bool flags = 3;
  map<string, int32> counts = 4;
}
message Count {
  int64 bytes = 1;
}
";

const SIZE: &str = "\
from public_input_pb2 import Count


async def handler(ctx, data):
    return Count(bytes=len(data.value))
";

const MAKE: &str = "\
from public_input_pb2 import Body, Count


async def handler(ctx, data):
    count = Count()
    data.Unpack(count)
    return Body.FromString(message(count.bytes))


def message(size):
    body, head = bytes(size), b'\\x1a'
    while True:
        head += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
        if not size:
            return head + body
";

const SIZES: &str = "/memory.Entrypoint/Size";
const MAKES: &str = "/memory.Entrypoint/Make";
const GRPC: (&str, &str) = ("content-type", "application/grpc");
const GZIP: (&str, &str) = ("grpc-encoding", "gzip");
const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/proto");

fn package() -> TempDir {
    write_package(&[
        ("krt.yml", MANIFEST),
        ("public_input.proto", PROTO),
        ("src/size/main.py", SIZE),
        ("src/make/main.py", MAKE),
    ])
}

async fn start(package: &TempDir) -> Service {
    Krt::run_at(package.path()).flag("--max-bytes", "64MiB").flag("--request-timeout", "120").start().await
}

/// A `Body` with `size` bytes of data.
fn body(size: usize) -> Vec<u8> {
    let mut message = vec![0x0a];
    prost::encoding::encode_varint(size as u64, &mut message);
    message.resize(message.len() + size, 0);
    message
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn framed(flag: u8, message: &[u8]) -> Bytes {
    let size = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &size[..], message].concat().into()
}

/// The code of a call, from gRPC or from the Connect protocol.
fn ended(reply: &Reply) -> Code {
    if reply.header("content-type").starts_with("application/grpc") {
        return Status::from_header_map(&reply.headers).map_or(Code::Ok, |status| status.code());
    }
    match reply.status {
        StatusCode::OK => Code::Ok,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        other => panic!("{other}: {reply:?}"),
    }
}

/// Sends a body [`MANY`] times at once over one connection. Each request succeeds, or is refused for lack of
/// memory; returns the number of successes.
async fn flood(http: &Http, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> usize {
    flood_of(MANY, http, path, headers, body.into()).await
}

async fn flood_of(
    count: usize,
    http: &Http,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> usize {
    let body = body.into();
    let send = |_| http.post(path, headers, body.clone());
    let codes: Vec<_> = join_all((0..count).map(send)).await.iter().map(ended).collect();
    assert!(codes.iter().all(|code| matches!(code, Code::Ok | Code::ResourceExhausted)), "{codes:?}");
    codes.iter().filter(|code| **code == Code::Ok).count()
}

/// Asserts that the engine stayed within its bound, and answers a request of the maximum size.
async fn well(service: &Service, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) {
    let reply = service.h2c().post(path, headers, body).await;
    assert_eq!(ended(&reply), Code::Ok, "{:?}", &reply.body[..reply.body.len().min(400)]);
    held_within(service, MAX_BYTES);
}

#[tokio::test]
async fn gzip_messages() {
    let package = package();
    let service = start(&package).await;
    let message = framed(1, &gzip(&body(LARGE)));
    let answered = flood(&service.h2c(), SIZES, &[GRPC, GZIP], message.clone()).await;
    assert!(answered > 0);
    well(&service, SIZES, &[GRPC, GZIP], message).await;
    let twice = [PROTOBUF, ("content-encoding", "gzip, gzip")];
    let message = gzip(&gzip(&body(LARGE)));
    flood(&service.h2c(), SIZES, &twice, message.clone()).await;
    well(&service, SIZES, &twice, message).await;
    service.stop().await;
}

/// Data that does not fit is not decompressed.
#[tokio::test]
async fn bombs() {
    let package = package();
    let service = start(&package).await;
    let bomb = gzip(&vec![0; 64 << 20]);
    let grpc = framed(1, &bomb);
    assert_eq!(flood(&service.h2c(), SIZES, &[GRPC, GZIP], grpc).await, 0);
    let connect = [PROTOBUF, ("content-encoding", "gzip")];
    assert_eq!(flood(&service.h2c(), SIZES, &connect, bomb.clone()).await, 0);
    for coding in ["zstd", "deflate", "br"] {
        let unknown =
            service.h2c().post(SIZES, &[PROTOBUF, ("content-encoding", coding)], bomb.clone()).await;
        assert_eq!(unknown.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{coding}");
        let unknown = service.h2c().post(SIZES, &[GRPC, ("grpc-encoding", coding)], framed(1, &bomb)).await;
        assert_eq!(ended(&unknown), Code::Unimplemented, "{coding}");
    }
    well(&service, SIZES, &connect, gzip(&body(LARGE))).await;
    service.stop().await;
}

/// A body in chunks, without a content length.
fn unsized_body(size: usize) -> tonic::body::Body {
    const PIECE: usize = 64 << 10;
    let pieces =
        (0..size.div_ceil(PIECE)).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; PIECE]))));
    tonic::body::Body::new(StreamBody::new(stream::iter(pieces)))
}

#[tokio::test]
async fn bodies_without_a_length() {
    let package = package();
    let service = start(&package).await;
    for http in [service.h2c(), service.http()] {
        let send = |_| http.post_stream(SIZES, &[JSON], unsized_body(LARGE));
        let codes: Vec<_> = join_all((0..MANY).map(send)).await.iter().map(ended).collect();
        assert!(codes.iter().all(|code| matches!(code, Code::Ok | Code::ResourceExhausted)), "{codes:?}");
        let good = http.post_stream(SIZES, &[JSON], unsized_body(LARGE)).await;
        assert_eq!(good.json(), serde_json::json!({}));
        held_within(&service, MAX_BYTES);
    }
    service.stop().await;
}

/// JSON that grows several times in size, and names that stay in memory for comparison.
#[tokio::test]
async fn json_larger_in_memory() {
    let package = package();
    let service = start(&package).await;
    let repeated = |item: &str, size: usize| vec![item; size / item.len()].join("");
    let names: String = (0..300_000).map(|number| format!("\"{number}\":1,")).collect();
    let names = names.trim_end_matches(',');
    for text in [
        format!(r#"{{"value":[{}1]}}"#, repeated("1,", 4 << 20)),
        format!(r#"{{"value":[{}{{}}]}}"#, repeated("{},", 4 << 20)),
        format!(r#"{{"value":{{{names}}}}}"#),
        format!(r#"{{"counts":{{{names}}}}}"#),
        format!(r#"{{"value":"{}"}}"#, repeated("\\n", 4 << 20)),
        format!(r#"{{"value":{}1}}"#, "[".repeat(4 << 20)),
        format!(r#"{{"{}":1}}"#, repeated("name", 4 << 20)),
    ] {
        let http = service.h2c();
        let send = |_| http.post(SIZES, &[JSON], text.clone());
        let replies = join_all((0..3).map(send)).await;
        for reply in &replies {
            let known = [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_REQUEST];
            assert!(known.contains(&reply.status), "{reply:?}");
            assert!(reply.body.len() < 4096, "{} bytes", reply.body.len());
        }
        held_within(&service, MAX_BYTES);
    }
    let good = format!(r#"{{"value":[{}1]}}"#, repeated("1,", 2 << 20));
    well(&service, SIZES, &[JSON], good).await;
    service.stop().await;
}

/// Each byte of these answers becomes six bytes of JSON.
#[tokio::test]
async fn json_answers() {
    let package = package();
    let service = start(&package).await;
    let large = format!(r#"{{"bytes":{LARGE}}}"#);
    assert_eq!(flood_of(8, &service.h2c(), MAKES, &[JSON], large).await, 0);
    let some = r#"{"bytes":2000000}"#;
    flood_of(16, &service.h2c(), MAKES, &[JSON], some).await;
    well(&service, MAKES, &[JSON], some).await;
    service.stop().await;
}

/// Clients that announce much and send little do not reserve memory from others.
#[tokio::test]
async fn slow_bodies() {
    const CONNECTIONS: usize = 200;
    let package = package();
    let service = start(&package).await;
    let head = format!(
        "POST {SIZES} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/proto\r\ncontent-length: {LARGE}\r\n\r\n"
    );
    let mut slow = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut socket = TcpStream::connect(service.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![0; 64 << 10]).await.unwrap();
        slow.push(socket);
    }
    well(&service, SIZES, &[PROTOBUF], body(LARGE)).await;
    drop(slow);
    service.stop().await;
}

/// A request that can never fit into `--max-bytes` is refused with a hint.
#[tokio::test]
async fn requests_larger_than_the_total_limit() {
    let package = package();
    let service = Krt::run_at(package.path()).flag("--max-bytes", "1MiB").start().await;
    let reply = service.h2c().post(SIZES, &[PROTOBUF], body(2 << 20)).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    let message = "no room for the message: requests in flight may hold 1048576 bytes; \
                   hint: try again, or raise --max-bytes";
    assert_eq!(reply.json()["message"], message);
    let small = service.h2c().post(SIZES, &[PROTOBUF], body(1000)).await;
    assert_eq!(small.status, StatusCode::OK);
    service.stop().await;
}

/// While large JSON is parsed, small requests are answered, by an engine with one thread.
#[tokio::test]
async fn large_json_does_not_block_other_requests() {
    /// More than can arrive before the large request is parsed.
    const SMALL: usize = 20;
    let package = package();
    let service = Krt::run_at(package.path()).env("TOKIO_WORKER_THREADS", "1").start().await;
    // The error is at the end, so the answer arrives after all of it was parsed.
    let text = format!(r#"{{"value":[{}"#, "1,".repeat(700_000));
    let http = service.http();
    let large: FuturesUnordered<_> = (0..4).map(|_| http.post(SIZES, &[JSON], text.clone())).collect();
    let mut large = large.map(|reply| assert_eq!(reply.status, StatusCode::BAD_REQUEST));
    let other = service.http();
    let mut small = 0;
    loop {
        tokio::select! {
            biased;
            ended = large.next() => if ended.is_none() { break },
            reply = other.post(SIZES, &[JSON], "{}") => {
                assert_eq!(reply.status, StatusCode::OK);
                small += 1;
            }
        }
    }
    assert!(small >= SMALL, "{small} small requests were answered meanwhile");
    service.stop().await;
}
