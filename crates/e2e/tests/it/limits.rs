//! gRPC from bad clients: too large, truncated, compressed, malformed.

use crate::support::{Krt, http::Http};
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use std::io::Write as _;
use tonic::Code;

const ECHO: &str = "/shop.v1.Entrypoint/Echo";
const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// A message with its gRPC prefix.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let size = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &size[..], message].concat()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A `Basket` with a note of `size` characters.
fn note(size: usize) -> Vec<u8> {
    let mut message = vec![0x0a];
    prost::encoding::encode_varint(size as u64, &mut message);
    message.resize(message.len() + size, b'x');
    message
}

/// Headers and a body, with the expected status.
type Row = (Headers, Vec<u8>, Code, String);
type Headers = &'static [(&'static str, &'static str)];

/// The status of a failed call.
async fn status(http: &Http, headers: &[(&str, &str)], body: Vec<u8>) -> (Code, String) {
    let reply = http.post(ECHO, &[&[GRPC], headers].concat(), body).await;
    assert_eq!(reply.status, 200, "gRPC tells its status by headers of its own");
    let status = tonic::Status::from_header_map(&reply.headers);
    let status = status.unwrap_or_else(|| panic!("it did not fail: {reply:?}"));
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn invalid_requests() {
    let service = Krt::run("echo").flag("--max-message", "4KiB").start().await;
    let http = service.h2c();
    let short = "field `shop.v1.Basket.note` is cut short";
    let text = "field `shop.v1.Basket.note` is not UTF-8";
    let kind = "field `shop.v1.Basket.note` has wire type Varint";
    let not_a_basket = "the request's message is not a shop.v1.Basket: ";
    let timeout = "the header `grpc-timeout` must be 1 to 8 digits and one of H, M, S, m, u, n";
    let decompressed = "the request's message has more than the limit of 4096 bytes when it is decompressed";
    let gzipped: Headers = &[("grpc-encoding", "gzip")];
    let rows: Vec<Row> = vec![
        (&[], framed(0, b"\x0a\x05ab"), Code::InvalidArgument, format!("{not_a_basket}{short}")),
        (&[], framed(0, b"\x0a\x02\xff\xfe"), Code::InvalidArgument, format!("{not_a_basket}{text}")),
        (&[], framed(0, b"\x08\x01"), Code::InvalidArgument, format!("{not_a_basket}{kind}")),
        (&[], framed(0, b"\xff"), Code::InvalidArgument, format!("{not_a_basket}not a protobuf message")),
        (&[], vec![], Code::Internal, "the request has no message".to_owned()),
        (&[], vec![0, 0, 0], Code::Internal, "the request has no message".to_owned()),
        (&[], vec![0, 0, 0, 0, 9, 1], Code::Internal, "the request's message has 1 bytes of 9".to_owned()),
        (&[], framed(2, b""), Code::Internal, "the request's message has the unknown flag 2".to_owned()),
        (
            &[],
            [framed(0, b""), framed(0, b"")].concat(),
            Code::Unimplemented,
            "the RPC takes one message".to_owned(),
        ),
        (&[("grpc-timeout", "soon")], framed(0, b""), Code::InvalidArgument, timeout.to_owned()),
        (
            &[],
            framed(0, &note(4096)),
            Code::ResourceExhausted,
            "the request's message has 4099 bytes, the limit is 4096".to_owned(),
        ),
        (
            &[],
            vec![0, 0xff, 0xff, 0xff, 0xff],
            Code::ResourceExhausted,
            "the request's message has 4294967295 bytes, the limit is 4096".to_owned(),
        ),
        (gzipped, framed(1, &gzip(&note(1 << 20))), Code::ResourceExhausted, decompressed.to_owned()),
        (
            &[("grpc-encoding", "snappy")],
            framed(1, b"x"),
            Code::Unimplemented,
            "messages compressed with `snappy` are not understood, only with `gzip`".to_owned(),
        ),
        (
            &[],
            framed(1, b"x"),
            Code::Internal,
            "the message is compressed, but the header `grpc-encoding` does not say how".to_owned(),
        ),
    ];
    for (headers, body, code, message) in rows {
        assert_eq!(status(&http, headers, body).await, (code, message));
    }
    let fits = service.call("Echo", json!({ "note": "x".repeat(4093) })).await.unwrap();
    assert_eq!(fits["note"].as_str().unwrap().len(), 4093);
    service.stop().await;
}

#[tokio::test]
async fn a_compressed_message_is_answered() {
    let service = Krt::run("echo").start().await;
    let message = note(1000);
    let body = framed(1, &gzip(&message));
    let reply = service.h2c().post(ECHO, &[GRPC, ("grpc-encoding", "gzip")], body).await;
    assert_eq!(reply.body, framed(0, &message));
    service.stop().await;
}

#[tokio::test]
async fn incomplete_requests() {
    let service = Krt::run("echo").env("KRT_REQUEST_TIMEOUT", "0.3").start().await;
    let body = tonic::body::Body::new(http_body_util::StreamBody::new(futures::stream::pending::<
        Result<_, std::convert::Infallible>,
    >()));
    let reply = service.h2c().post_stream(ECHO, &[GRPC], body).await;
    let status = tonic::Status::from_header_map(&reply.headers).unwrap();
    let message = "the request did not arrive in time";
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, message));
    service.stop().await;
}
