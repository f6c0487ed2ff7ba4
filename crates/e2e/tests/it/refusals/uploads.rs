//! Invalid packages.

use super::{Snapshot, refused};
use crate::support::{
    Krt, eventually,
    team::{Team, packed, version},
};
use flate2::{Compression, write::GzEncoder};
use futures::stream;
use http::StatusCode;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::{Value, json};
use std::{convert::Infallible, fs, io::Write as _};
use tar::Header;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tonic::body::Body;

const UPLOADS: &str = "/api/v1/runtimes/shop/versions";

/// A tar entry with any name: libraries refuse to write many of these.
fn entry(kind: u8, name: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, name, link, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn header(kind: u8, name: &str, link: &str, size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    let raw = header.as_gnu_mut().unwrap();
    raw.name[..name.len()].copy_from_slice(name.as_bytes());
    raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
    raw.typeflag = [kind];
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An archive of a manifest and one more entry.
fn archive(entry_of: Vec<u8>) -> Vec<u8> {
    let mut tar = entry(b'0', "krt.yml", "", b"version: v1");
    tar.extend(entry_of);
    tar.resize(tar.len() + 1024, 0);
    gzip(&tar)
}

/// A file of 100 MiB of zeros, in less than a MiB.
fn bomb() -> Vec<u8> {
    let mut bytes = gzip(&header(b'0', "zeros", "", 100 << 20));
    let zeros = gzip(&vec![0; 1 << 20]);
    (0..100).for_each(|_| bytes.extend_from_slice(&zeros));
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn malicious_archives_leave_nothing() {
    let data = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("escaped");
    let absolute = target.to_str().unwrap();
    let team = Team::with_shop(data.path()).await;
    let good = packed(version("v1", "").path());
    let before = Snapshot::of(&team, data.path()).await;
    let link = |kind, to: &str| archive(entry(kind, "way", to, b""));
    let rows = [
        ("nothing", Vec::new(), "it is not a gzip file"),
        ("gzip, and no tar", gzip(b"no tar"), "it "),
        ("the half of a package", good[..good.len() / 2].to_vec(), "it is cut off"),
        (
            "a package with something after it",
            [&*good, b"something that is no gzip"].concat(),
            "it is damaged",
        ),
        ("no manifest", gzip(&[0; 1024]), "it has no `krt.yml` at its root"),
        ("a path upward", archive(entry(b'0', "../../../escaped", "", b"x")), "leads out of the package"),
        ("a path from the root", archive(entry(b'0', absolute, "", b"x")), "leads out of the package"),
        ("a link to the root", link(b'2', "/"), "leads out of the package"),
        ("a link upward", link(b'2', "../../../registry.db"), "leads out of the package"),
        ("a hard link", link(b'1', "../../../registry.db"), "out of the package"),
        ("a device", archive(entry(b'3', "null", "", b"")), "a package holds files, folders and links"),
        ("a bomb", bomb(), "it becomes more than 200 times larger"),
    ];
    for (what, bytes, why) in rows {
        let reply = team.api.upload(bytes).await;
        let message = refused(&reply, StatusCode::UNPROCESSABLE_ENTITY, "invalid_package");
        let hint = match &*message {
            "the package cannot be unpacked: it is not a gzip file" => {
                json!("a `.krt` is a gzip'd tar; `krt pack` makes one")
            }
            "the package cannot be unpacked: it is cut off" => json!("copy it again"),
            _ => Value::Null,
        };
        assert_eq!(reply.json()["hint"], hint, "{what}: {message}");
        assert!(message.starts_with("the package cannot be unpacked: "), "{what}: {message}");
        assert!(message.contains(why), "{what}: {message}");
        assert_eq!(Snapshot::of(&team, data.path()).await, before, "{what}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{what}");
    }
    // None of them blocks a valid upload, which then blocks a second one.
    team.api.upload(good.clone()).await.expect(StatusCode::CREATED);
    let before = Snapshot::of(&team, data.path()).await;
    let message = refused(&team.api.upload(good).await, StatusCode::CONFLICT, "conflict");
    assert_eq!(message, "there is a version `v1` already");
    assert_eq!(Snapshot::of(&team, data.path()).await, before);
    team.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_and_aborted_uploads_leave_nothing() {
    let data = tempfile::tempdir().unwrap();
    let described = version("described", "");
    let krt = Krt::serve(described.path()).flag("--max-package", "64KiB");
    let team = Team::started_by(krt, data.path()).await;
    let shop = serde_json::json!({"id": "shop", "name": "The shop"});
    team.api.post("/runtimes", shop).await.expect(StatusCode::CREATED);
    let before = Snapshot::of(&team, data.path()).await;
    let large = vec![0_u8; 1 << 20];

    // With or without a content length.
    let message = refused(&team.api.upload(large.clone()).await, StatusCode::PAYLOAD_TOO_LARGE, "too_large");
    assert_eq!(message, "the package has more than 65536 bytes");
    let chunks = large.chunks(1 << 14).map(|chunk| {
        let chunk = bytes::Bytes::copy_from_slice(chunk);
        Ok::<_, Infallible>(Frame::data(chunk))
    });
    let chunks: Vec<_> = chunks.collect();
    let bearer = format!("Bearer {}", team.api.token());
    let headers = [("authorization", &*bearer), ("content-type", "application/octet-stream")];
    let body = Body::new(StreamBody::new(stream::iter(chunks)));
    let reply = team.api.http().post_stream(UPLOADS, &headers, body).await;
    refused(&reply, StatusCode::PAYLOAD_TOO_LARGE, "too_large");
    assert_eq!(Snapshot::of(&team, data.path()).await, before);

    // An unknown runtime, or another content type.
    let nowhere = team.api.http().post("/api/v1/runtimes/none/versions", &headers, large.clone()).await;
    assert_eq!(refused(&nowhere, StatusCode::NOT_FOUND, "not_found"), "there is no runtime `none`");
    let form = [("authorization", &*bearer), ("content-type", "multipart/form-data; boundary=x")];
    let form = team.api.http().post(UPLOADS, &form, large).await;
    refused(&form, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported");
    assert_eq!(Snapshot::of(&team, data.path()).await, before);

    // A client that disconnects before the end.
    let address = team.api.http().address();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {UPLOADS} HTTP/1.1\r\nhost: {address}\r\nauthorization: {bearer}\r\n\
         content-type: application/octet-stream\r\ncontent-length: 1000\r\n\r\nbegin"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let coming = async || (Snapshot::of(&team, data.path()).await != before).then_some(());
    eventually("the package comes in", coming).await;
    drop(socket);
    let gone = async || (Snapshot::of(&team, data.path()).await == before).then_some(());
    eventually("nothing is left of it", gone).await;
    team.stop().await;
}
