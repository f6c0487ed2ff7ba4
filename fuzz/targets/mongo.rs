//! Whatever a client of the MongoDB server sends, it is a command or refused. A command is read again when it is
//! written; each has an answer, which is read, too; and finding, counting and aggregating see the same documents.

#![no_main]

use bson::{Bson, Document, doc};
use krt_loopback::mongo::{Server, fuzzing::Command};
use krt_store::{Options, Store};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A server with a few documents, and what keeps it.
struct Fixture {
    runtime: Runtime,
    server: Server,
    _store: (TempDir, krt_store::Writer),
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads start");
    let folder = tempfile::tempdir().expect("there is room");
    let (store, writer) = Store::open(folder.path(), &Options::default()).expect("the folder is empty");
    let server = runtime.block_on(Server::bind(store, "fuzz")).expect("a port is free");
    let fixture = Fixture { runtime, server, _store: (folder, writer) };
    let saved = fixture.answer(&doc! {"insert": "things", "documents": documents(), "$db": "data"});
    assert_eq!(saved.get("n"), Some(&Bson::Int32(8)), "{saved}");
    fixture
});

fn documents() -> Vec<Document> {
    vec![
        doc! {"_id": 1, "a": 1, "b": "text", "c": [1, 2, {"d": 3}], "e": {"f": null}},
        doc! {"_id": 2, "a": 2.5, "b": ["text", "other"], "c": []},
        doc! {"_id": 3, "a": -1_i64, "b": true, "e": {"f": {"g": "deep"}}},
        doc! {"_id": "4", "a": f64::NAN, "b": bson::DateTime::from_millis(0)},
        doc! {"_id": 5, "a": null, "b": bson::oid::ObjectId::from_bytes([7; 12])},
        doc! {"_id": 6, "a": [[1], [2, [3]]], "b": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1] }},
        doc! {"_id": 7, "a": i64::MAX, "c": [{"d": 1}, {"d": [2, 3]}]},
        doc! {"_id": 8},
    ]
}

impl Fixture {
    fn answer(&self, body: &Document) -> Document {
        let command = Command::parse(&message(body)).expect("it was written here");
        self.runtime.block_on(command.answer(&self.server))
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(command) = Command::parse(bytes) else { return };
    let body = command.body();
    let again = Command::parse(&message(body)).expect("it was written here");
    assert_eq!(bytes_of(again.body()), bytes_of(body));
    // What is saved would stay there.
    if body.keys().next().is_some_and(|name| name == "insert") {
        return;
    }
    let reply = FIXTURE.runtime.block_on(command.answer(&FIXTURE.server));
    let failed = reply.get_f64("ok").expect("each reply has it") == 0.0;
    assert_eq!(failed, reply.contains_key("errmsg"), "{reply}");
    let Some(sent) = command.reply(&reply) else { return };
    if let Ok(read) = Command::parse(&sent) {
        assert_eq!(bytes_of(read.body()), bytes_of(&reply));
    }
    if let (Ok("things"), Ok(filter)) = (body.get_str("find"), body.get_document("filter")) {
        see_the_same(filter);
    }
});

fn see_the_same(filter: &Document) {
    let of = |mut command: Document| {
        command.insert("$db", "data");
        FIXTURE.answer(&command)
    };
    let found = of(doc! {"find": "things", "filter": filter.clone()});
    let counted = of(doc! {"count": "things", "query": filter.clone()});
    let stages = vec![doc! {"$match": filter.clone()}];
    let aggregated = of(doc! {"aggregate": "things", "pipeline": stages, "cursor": {}});
    let batch = |reply: &Document| {
        let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        batch.ok().map(|batch| bytes_of(&doc! {"batch": batch.clone()}))
    };
    assert_eq!(batch(&found), batch(&aggregated), "{filter}");
    let count = found.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch")).map(Vec::len);
    assert_eq!(count.ok().and_then(|count| i32::try_from(count).ok()), counted.get_i32("n").ok(), "{filter}");
}

fn bytes_of(document: &Document) -> Vec<u8> {
    document.to_vec().expect("it was read")
}

/// An `OP_MSG` with one section.
fn message(body: &Document) -> Vec<u8> {
    let body = bytes_of(body);
    let size = i32::try_from(16 + 5 + body.len()).expect("it is short");
    let header: Vec<u8> = [size, 7, 0, 2013].into_iter().flat_map(i32::to_le_bytes).collect();
    [&header[..], &[0; 5], &body].concat()
}
