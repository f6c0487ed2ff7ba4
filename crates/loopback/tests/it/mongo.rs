//! Documents from MongoDB's drivers.

use crate::clients;
use bson::{Bson, Document, doc};
use futures::{StreamExt as _, TryStreamExt as _};
use krt_loopback::mongo::Server;
use krt_store::{FindLimits, Options, Store, Writer};
use mongodb::{Client, Collection, options::ClientOptions};
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// A server with its own store.
struct Fixture {
    url: String,
    store: Store,
    writer: Writer,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, writer) = Store::open(folder.path(), &Options::default()).unwrap();
        let server = Server::bind(store.clone(), "shop").await.unwrap();
        let (url, shutdown) = (server.url(), CancellationToken::new());
        let serving = tokio::spawn(server.run(shutdown.clone()));
        Self { url, store, writer, shutdown, serving, _folder: folder }
    }

    async fn client(&self) -> Client {
        Client::with_uri_str(&self.url).await.unwrap()
    }

    async fn orders(&self) -> Collection<Document> {
        self.client().await.database("shop-data").collection("orders")
    }

    fn address(&self) -> &str {
        self.url.split_once('@').unwrap().1.split('/').next().unwrap()
    }

    /// The documents that `ctx.db.find` and `krt data` see.
    async fn stored(&self, collection: &str, query: Document) -> Vec<Document> {
        let found = self.store.reader().find(collection, &query, FindLimits::default()).unwrap();
        found.map(|raw| Document::try_from(raw.unwrap()).unwrap()).collect().await
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
        drop(self.store);
        tokio::task::spawn_blocking(|| self.writer.close()).await.unwrap();
    }
}

/// A driver's error message, with its code.
fn error_text(error: &mongodb::error::Error) -> String {
    format!("{error} {error:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_stored_as_inserted() {
    let served = Fixture::start().await;
    let orders = served.orders().await;
    let date = bson::DateTime::from_millis(1_700_000_000_123);
    let document = doc! { "_id": 7_i64, "list": [1, 2.5, Bson::Null], "date": date, "nested": { "é": "x" } };
    orders.insert_one(document.clone()).await.unwrap();
    let made = orders.insert_one(doc! { "a": 1 }).await.unwrap().inserted_id;
    assert_eq!(served.stored("orders", doc! { "_id": 7 }).await, std::slice::from_ref(&document));
    assert_eq!(served.stored("orders", doc! { "a": 1 }).await, [doc! { "_id": made, "a": 1 }]);

    // And in the other direction.
    served.store.save("classificationMetrics", doc! { "_id": "p", "trueValue": "x" }).await.unwrap();
    let predictions: Collection<Document> =
        served.client().await.database("data").collection("classificationMetrics");
    let found = predictions.find_one(doc! { "trueValue": "x" }).await.unwrap();
    assert_eq!(found, Some(doc! { "_id": "p", "trueValue": "x" }));
    assert_eq!(orders.find_one(doc! { "list": 2.5 }).await.unwrap(), Some(document));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_without_an_id_gets_one() {
    let served = Fixture::start().await;
    // Drivers generate an id themselves; the command need not have one.
    let database = served.client().await.database("shop-data");
    let reply = database.run_command(doc! { "insert": "raw", "documents": [{ "a": 1 }, { "a": 2 }] });
    assert_eq!(reply.await.unwrap(), doc! { "n": 2, "ok": 1.0 });
    let stored = served.stored("raw", doc! {}).await;
    assert!(stored.iter().all(|document| document.get_object_id("_id").is_ok()), "{stored:?}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_end_only_ordered_inserts() {
    let served = Fixture::start().await;
    let database = served.client().await.database("shop-data");
    for (ordered, stored) in [(true, 2), (false, 3)] {
        let name = format!("ordered_{ordered}");
        let documents = [doc! { "_id": 1 }, doc! { "_id": 2 }, doc! { "_id": 1.0 }, doc! { "_id": 3 }];
        let reply = database
            .run_command(doc! { "insert": &name, "documents": &documents[..], "ordered": ordered })
            .await
            .unwrap();
        assert_eq!(reply.get_i32("n").unwrap(), stored, "{reply}");
        let errors = reply.get_array("writeErrors").unwrap();
        let error = errors[0].as_document().unwrap();
        assert_eq!((errors.len(), error.get_i32("index").unwrap()), (1, 2), "{reply}");
        assert_eq!(error.get_i32("code").unwrap(), 11000, "{reply}");
        assert!(error.get_str("errmsg").unwrap().starts_with("E11000 duplicate key error"), "{reply}");
        assert_eq!(served.stored(&name, doc! {}).await.len(), usize::try_from(stored).unwrap());
    }
    let bad = [doc! { "_id": 1 }, doc! { "_id": [1] }, doc! { "_id": 2 }];
    let reply = database.run_command(doc! { "insert": "bad", "documents": &bad[..] }).await.unwrap();
    assert_eq!(reply.get_i32("n").unwrap(), 1, "{reply}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_read_in_batches() {
    let served = Fixture::start().await;
    let orders = served.orders().await;
    let all: Vec<_> = (0..1000).map(|number| doc! { "_id": number, "load": "x".repeat(20_000) }).collect();
    orders.insert_many(&all).await.unwrap();
    for batch in [None, Some(1), Some(300), Some(100_000)] {
        let find = orders.find(doc! {});
        let find = match batch {
            Some(batch) => find.batch_size(batch),
            None => find,
        };
        let found: Vec<_> = find.await.unwrap().try_collect().await.unwrap();
        assert!(found == all, "{batch:?}");
    }
    let some = orders.find(doc! { "_id": { "$gte": 10 } }).sort(doc! { "_id": -1 }).skip(5).limit(3);
    let some = some.projection(doc! { "_id": 1 }).await.unwrap().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(some, [doc! { "_id": 994 }, doc! { "_id": 993 }, doc! { "_id": 992 }]);
    // A cursor dropped before its end is closed.
    let mut cursor = orders.find(doc! {}).batch_size(2).await.unwrap();
    cursor.try_next().await.unwrap();
    drop(cursor);
    assert_eq!(orders.count_documents(doc! { "_id": { "$lt": 4 } }).await.unwrap(), 4);
    assert_eq!(orders.count_documents(doc! { "_id": -1 }).await.unwrap(), 0);
    assert_eq!(orders.estimated_document_count().await.unwrap(), 1000);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_belong_to_their_collection() {
    let served = Fixture::start().await;
    let client = served.client().await;
    let database = client.database("shop-data");
    let documents = [doc! { "_id": 1 }, doc! { "_id": 2 }, doc! { "_id": 3 }];
    database.run_command(doc! { "insert": "c", "documents": &documents[..] }).await.unwrap();
    let reply = database.run_command(doc! { "find": "c", "batchSize": 1 }).await.unwrap();
    let cursor = reply.get_document("cursor").unwrap();
    let id = cursor.get_i64("id").unwrap();
    assert_eq!(cursor.get_array("firstBatch").unwrap().len(), 1);
    let get_more = |collection: &str| doc! { "getMore": id, "collection": collection };
    let error = database.run_command(get_more("other")).await.unwrap_err();
    assert!(error_text(&error).contains("CursorNotFound"), "{error:?}");
    let killed = database.run_command(doc! { "killCursors": "c", "cursors": [id, 5_i64] }).await.unwrap();
    assert_eq!(killed.get_array("cursorsKilled").unwrap(), &vec![Bson::Int64(id)]);
    assert_eq!(killed.get_array("cursorsNotFound").unwrap(), &vec![Bson::Int64(5)]);
    let error = database.run_command(get_more("c")).await.unwrap_err();
    assert!(error_text(&error).contains("CursorNotFound"), "{error:?}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_commands_are_reported() {
    let served = Fixture::start().await;
    let client = served.client().await;
    let database = client.database("shop-data");
    let supported = "not supported by krt's embedded store";
    for (command, part) in [
        (doc! { "update": "c", "updates": [{ "q": {}, "u": { "$set": { "a": 1 } } }] }, supported),
        (doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] }, supported),
        (doc! { "findAndModify": "c", "remove": true }, supported),
        (doc! { "createIndexes": "c", "indexes": [] }, supported),
        (doc! { "aggregate": "c", "pipeline": [{ "$lookup": {} }], "cursor": {} }, "$lookup"),
        (doc! { "find": "c", "collation": { "locale": "de" } }, "`find.collation`"),
        (doc! { "find": "c", "projection": { "a": { "$slice": 1 } } }, "the projection `a"),
        (doc! { "find": "c", "filter": { "a": { "$near": 1 } } }, "$near"),
        (doc! { "find": "c", "filtre": {} }, "`find.filtre` is unknown"),
        (doc! { "find": "c", "skip": -1 }, "`find.skip` must be 0 or more"),
        (doc! { "find": 1 }, "`find.find` must be a string"),
        (doc! { "insert": "c", "documents": [] }, "an insert of 0 documents"),
        (doc! { "insert": "system.users", "documents": [{}] }, "system.users"),
        (doc! { "frobnicate": 1 }, "no such command: 'frobnicate'"),
    ] {
        let error = database.run_command(command.clone()).await.unwrap_err();
        assert!(error_text(&error).contains(part), "{command}: {error:?}");
    }
    let elsewhere: Collection<Document> = client.database("elsewhere").collection("c");
    assert_eq!(elsewhere.find_one(doc! {}).await.unwrap(), None);
    let error = elsewhere.insert_one(doc! {}).await.unwrap_err();
    assert!(error_text(&error).contains("has the database `shop-data` only, not `elsewhere`"), "{error:?}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthorized_clients_see_nothing() {
    let served = Fixture::start().await;
    served.orders().await.insert_one(doc! { "secret": 1 }).await.unwrap();
    let with_user = |user: &str| {
        let (_, rest) = served.url.split_once('@').unwrap();
        format!("mongodb://{user}{rest}")
    };
    for (user, part) in [
        ("", "requires authentication"),
        ("krt:wrong@", "Authentication failed"),
        ("admin:wrong@", "Authentication failed"),
    ] {
        let options = ClientOptions::parse(with_user(user)).await.unwrap();
        let client = Client::with_options(options).unwrap();
        let orders: Collection<Document> = client.database("shop-data").collection("orders");
        let error = orders.find_one(doc! {}).await.unwrap_err();
        assert!(error_text(&error).contains(part), "{user}: {error:?}");
    }
    served.end().await;
}

/// The server's next message.
async fn reply(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).await.ok()?;
    let mut rest = vec![0; usize::try_from(i32::from_le_bytes(size)).unwrap() - 4];
    stream.read_exact(&mut rest).await.ok()?;
    Some(rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_messages_end_only_their_connection() {
    let served = Fixture::start().await;
    let header = |size: i32, op_code: i32| {
        [size, 1, 0, op_code].into_iter().flat_map(i32::to_le_bytes).collect::<Vec<_>>()
    };
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        header(0, 2013),
        header(i32::MAX, 2013),
        // Larger than the maximum before authentication.
        header(100_000, 2013),
        [header(21, 2012), vec![0; 5]].concat(),
        [header(21, 2013), vec![0; 5]].concat(),
    ] {
        let mut stream = TcpStream::connect(served.address()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let reply = tokio::time::timeout(Duration::from_secs(20), reply(&mut stream)).await;
        assert_eq!(reply.expect("the connection ends"), None, "{bytes:?}");
    }
    // The first command of an old driver.
    let hello = doc! { "isMaster": 1, "helloOk": true }.to_vec().unwrap();
    let rest = [&[0; 4][..], b"admin.$cmd\0", &[0; 4], &[255; 4], &hello].concat();
    let mut stream = TcpStream::connect(served.address()).await.unwrap();
    let size = i32::try_from(16 + rest.len()).unwrap();
    stream.write_all(&[header(size, 2004), rest].concat()).await.unwrap();
    let reply = reply(&mut stream).await.unwrap();
    let reply = Document::from_reader(&reply[32..]).unwrap();
    assert!(reply.get_bool("ismaster").unwrap(), "{reply}");
    assert!(!reply.contains_key("compression"), "{reply}");
    served.orders().await.insert_one(doc! {}).await.unwrap();
    served.end().await;
}

/// A client in another language runs all of `tests/clients`.
async fn client(program: Option<Vec<PathBuf>>, name: &str) {
    let Some(program) = program else { return };
    let served = Fixture::start().await;
    let said = clients::run(&program, &[&served.url, "shop"]).await;
    assert!(said.starts_with(name), "{said}");
    assert!(served.stored("orders", doc! { "text": "é" }).await.len() == 1);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pymongo_3() {
    client(clients::python("mongo.py", &["pymongo==3.13.0"]), "pymongo 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pymongo_4() {
    client(clients::python("mongo.py", &["pymongo==4.13.2"]), "pymongo 4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_driver_1_4() {
    client(clients::go("mongo", "old.mod").await, "mongo-driver v1.4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_driver_1_17() {
    client(clients::go("mongo", "go.mod").await, "mongo-driver 1.17").await;
}
