//! Hostile MongoDB servers.

use super::{MAX_BYTES, Peer, flood, start_fails, stay_silent};
use crate::{
    attacks::{peak, peak_is_within},
    support::{Krt, krt::write_package},
};
use bson::{Document, doc};
use futures::future::join_all;
use serde_json::json;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
/// Opcodes of the protocol.
const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

type Script = fn(TcpStream) -> std::io::Result<()>;

/// Scripts that do not speak the protocol.
const NONE: [(&str, Script); 6] = [
    ("says something else", |mut stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")),
    ("says nothing", stay_silent),
    ("closes", |stream| stream.shutdown(std::net::Shutdown::Both)),
    ("the largest length there is", |stream| answer_with_length(stream, i32::MAX)),
    ("a negative length", |stream| answer_with_length(stream, -1)),
    ("no length", |stream| answer_with_length(stream, 0)),
];

fn answer_with_length(mut stream: TcpStream, length: i32) -> std::io::Result<()> {
    for number in [length, 1, 1, OP_REPLY] {
        stream.write_all(&number.to_le_bytes())?;
    }
    flood(&mut stream, &[0; 64 << 10], 400 * MIB)
}

#[tokio::test]
async fn fake_servers_fail_the_start_within_the_bound() {
    join_all(NONE.iter().map(async |(what, script)| {
        let peer = Peer::start(script);
        let url = format!("mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=3000", peer.port);
        start_fails(what, Krt::run("context").flag("--mongo", url), "cannot use MongoDB at").await;
    }))
    .await;
}

/// The answer to a `find`: the bytes after the message's header.
type Answer = fn(&Document) -> Vec<u8>;

/// Speaks the protocol; `answer` answers searches.
fn serve(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head)?;
        let number = |at: usize| i32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let mut body = vec![0; usize::try_from(number(0)).unwrap() - 16];
        stream.read_exact(&mut body)?;
        let (id, kind) = (number(4), number(12));
        if kind == OP_QUERY {
            send(
                &mut stream,
                id,
                OP_REPLY,
                &[&[0; 16][..], &1_i32.to_le_bytes(), &bytes(&greeting())].concat(),
            )?;
            continue;
        }
        let command = Document::from_reader(&body[5..]).unwrap();
        let answer = if command.contains_key("find") || command.contains_key("getMore") {
            answer(&command)
        } else if command.contains_key("hello") || command.contains_key("isMaster") {
            section(&greeting())
        } else {
            section(&doc! { "ok": 1.0 })
        };
        send(&mut stream, id, OP_MSG, &answer)?;
    }
}

fn greeting() -> Document {
    // The maximum message size is false, too.
    doc! {
        "ok": 1.0, "helloOk": true, "isWritablePrimary": true, "ismaster": true, "minWireVersion": 0, "maxWireVersion": 21,
        "maxBsonObjectSize": i32::MAX, "maxMessageSizeBytes": i32::MAX, "maxWriteBatchSize": 100_000,
    }
}

fn send(stream: &mut TcpStream, to: i32, kind: i32, body: &[u8]) -> std::io::Result<()> {
    let length = i32::try_from(body.len() + 16).unwrap();
    for number in [length, 1, to, kind] {
        stream.write_all(&number.to_le_bytes())?;
    }
    stream.write_all(body)
}

fn bytes(document: &Document) -> Vec<u8> {
    document.to_vec().unwrap()
}

/// An answer with one document.
fn section(document: &Document) -> Vec<u8> {
    [&[0; 5][..], &bytes(document)].concat()
}

/// A batch of a cursor.
fn batch(command: &Document, documents: Vec<Document>) -> Vec<u8> {
    let name = if command.contains_key("find") { "firstBatch" } else { "nextBatch" };
    section(&doc! { "ok": 1.0, "cursor": { "id": 7_i64, "ns": "a.things", name: documents } })
}

const ANSWERS: [(&str, Answer); 5] = [
    ("a cursor that never ends", |command| batch(command, vec![doc! { "text": "a".repeat(MIB) }; 4])),
    ("a cursor of nothing that never ends", |command| batch(command, Vec::new())),
    ("a document whose length is a lie", |_| [&[0; 5][..], &i32::MAX.to_le_bytes(), b"\x00\x00"].concat()),
    ("an invalid cursor", |_| section(&doc! { "ok": 1.0, "cursor": "there" })),
    ("an error of 8 MiB", |_| section(&doc! { "ok": 0.0, "code": 1, "errmsg": "a".repeat(8 * MIB) })),
];

/// A package with one node that searches, and one that does not.
fn package() -> TempDir {
    write_package(&[
        (
            "krt.yml",
            "version: find-v1\ndescription: Searches.\nentrypoint:\n  proto: public_input.proto\nnodes:\n  \
             - { name: finder, src: src/finder/main.py, timeout: 5s }\n  - { name: calm, src: src/calm/main.py }\n\
             workflows:\n  - { name: find, entrypoint: Find, sequential: [finder] }\n  \
             - { name: calm, entrypoint: Calm, sequential: [calm] }\n",
        ),
        (
            "public_input.proto",
            "syntax = \"proto3\";\npackage find;\nservice Entrypoint {\n  rpc Find(Text) returns (Text);\n  \
             rpc Calm(Text) returns (Text);\n}\nmessage Text {\n  string text = 1;\n}\n",
        ),
        (
            "src/finder/main.py",
            "from public_input_pb2 import Text\n\n\nasync def handler(ctx, data):\n    \
             found = await ctx.db.find(\"things\", {\"a\": 1})\n    return Text(text=str(len(found)))\n",
        ),
        (
            "src/calm/main.py",
            "from public_input_pb2 import Text\n\n\nasync def handler(ctx, data):\n    return Text(text=\"calm\")\n",
        ),
    ])
}

async fn attack(package: &Path, what: &str, answer: Answer) {
    let peer = Peer::start(move |stream| serve(stream, answer));
    let url = format!("mongodb://127.0.0.1:{}/", peer.port);
    let krt = Krt::run_at(package).flag("--mongo", url).flag("--max-bytes", MAX_BYTES.to_string());
    let service = krt.start().await;
    let (found, calm) = tokio::join!(
        service.call("Find", json!({ "text": "" })),
        service.call("Calm", json!({ "text": "" }))
    );
    assert_eq!(calm.unwrap()["text"], "calm", "{what}");
    let status = found.expect_err(what);
    assert!(status.message().len() < 16 << 10, "{what}: an error of {} bytes", status.message().len());
    peak_is_within(what, peak(service.pid()), MAX_BYTES);
    service.stop().await;
}

#[tokio::test]
async fn hostile_search_answers_cost_only_their_search() {
    let package = package();
    join_all(ANSWERS.map(|(what, answer)| attack(package.path(), what, answer))).await;
}
