//! The server's description of itself.

use super::{Shared, scram, wire::MAX_MESSAGE};
use bson::{DateTime, Document, doc};
use krt_store::MAX_SIZE;

/// The emulated version of MongoDB.
const VERSION: &str = "6.0.0";
/// That version's wire version. Current drivers require 8 or more; old ones check only the minimum.
const MAX_WIRE_VERSION: i32 = 17;
/// The most documents of one insert.
pub(super) const MAX_BATCH: i32 = 100_000;

/// `hello`, and its old name `isMaster`. Offers neither sessions nor compression, so that clients do not
/// request them.
pub(super) fn hello(name: &str, body: &Document) -> Document {
    let primary = if name == "hello" { "isWritablePrimary" } else { "ismaster" };
    let mut reply = doc! {
        primary: true,
        "helloOk": true,
        "maxBsonObjectSize": size(MAX_SIZE),
        "maxMessageSizeBytes": size(MAX_MESSAGE),
        "maxWriteBatchSize": MAX_BATCH,
        "localTime": DateTime::now(),
        "minWireVersion": 0,
        "maxWireVersion": MAX_WIRE_VERSION,
        "readOnly": false,
    };
    if body.contains_key("saslSupportedMechs") {
        reply.insert("saslSupportedMechs", vec![scram::MECHANISM]);
    }
    reply.insert("ok", 1.0);
    reply
}

/// `buildInfo`.
pub(super) fn build_info() -> Document {
    doc! {
        "version": VERSION,
        "versionArray": [6, 0, 0, 0],
        "gitVersion": "krt",
        "modules": [],
        "bits": 64,
        "debug": false,
        "maxBsonObjectSize": size(MAX_SIZE),
        "ok": 1.0,
    }
}

/// `listDatabases`.
pub(super) fn databases(shared: &Shared, name_only: bool) -> Document {
    let mut database = doc! { "name": &shared.database };
    if !name_only {
        database.insert("sizeOnDisk", 0_i64);
        database.insert("empty", false);
    }
    let mut reply = doc! { "databases": [database] };
    if !name_only {
        reply.insert("totalSize", 0_i64);
    }
    reply.insert("ok", 1.0);
    reply
}

fn size(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
