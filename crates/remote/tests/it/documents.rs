//! One list of tests for documents, on SQLite and on MongoDB.

use bson::{Bson, Document, doc, oid::ObjectId};
use futures::TryStreamExt as _;
use krt_model::hint;
use krt_remote::{Address, Documents, Mongo};
use krt_servers::MongoServer;
use krt_store::{MAX_SIZE, Options, PREDICTIONS, PredictionFilter, Store, Writer};
use tempfile::TempDir;

mod agreement;

/// A store of one kind, with its server.
struct Fixture {
    documents: Documents,
    _embedded: Option<(Writer, TempDir)>,
    server: Option<MongoServer>,
}

fn embedded() -> Fixture {
    let folder = TempDir::new().unwrap();
    let (store, writer) = Store::open(folder.path(), &Options::default()).unwrap();
    Fixture { documents: Documents::Embedded(store), _embedded: Some((writer, folder)), server: None }
}

async fn mongo(test: &str) -> Option<Fixture> {
    let server = MongoServer::start(test)?;
    let mongo = Mongo::connect(&Address::from(&*server.url), "shop").await.unwrap();
    Some(Fixture { documents: Documents::Mongo(mongo), _embedded: None, server: Some(server) })
}

async fn find(documents: &Documents, collection: &str, query: Document) -> Vec<Document> {
    let found = documents.find(collection, query).await.unwrap();
    let raw: Vec<_> = found.try_collect().await.unwrap();
    raw.iter().map(|raw| Document::try_from(&**raw).unwrap()).collect()
}

/// Runs a case on each kind of store.
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&super::embedded().documents).await;
            })*
        }
        mod on_mongodb {
            $(#[tokio::test]
            async fn $case() {
                if let Some(fixture) = super::mongo(stringify!($case)).await {
                    super::$case(&fixture.documents).await;
                }
            })*
        }
    };
}

conformance!(
    documents_are_found_as_they_were_saved,
    ids_are_unique_within_a_collection,
    unsupported_documents_are_refused,
    the_largest_document_is_kept,
    wrong_queries_are_reported,
    many_documents_stream,
    predictions_are_found_by_version_and_time,
);

async fn documents_are_found_as_they_were_saved(documents: &Documents) {
    let date = bson::DateTime::from_millis(1_700_000_000_123);
    let document = doc! {
        "b": 1_i32, "a": 2_i64, "f": 1.0, "when": date, "none": null, "yes": true,
        "id": ObjectId::new(), "nested": { "list": [1, "x", null], "empty": {} },
    };
    let id = documents.save("things", document.clone()).await.unwrap();
    assert!(matches!(id, Bson::ObjectId(_)));
    let mut expected = doc! { "_id": id.clone() };
    expected.extend(document);
    for query in [doc! { "_id": id }, doc! {}, doc! { "nested.list": "x" }, doc! { "a": { "$gt": 1.5 } }] {
        assert_eq!(find(documents, "things", query.clone()).await, [expected.clone()], "{query}");
    }
    assert!(find(documents, "things", doc! { "a": 3 }).await.is_empty());
    assert!(find(documents, "nothing", doc! {}).await.is_empty());
}

async fn ids_are_unique_within_a_collection(documents: &Documents) {
    documents.save("a", doc! { "_id": "x" }).await.unwrap();
    documents.save("b", doc! { "_id": "x" }).await.unwrap();
    let error = documents.save("a", doc! { "_id": "x", "n": 2 }).await.unwrap_err();
    assert_eq!(error.to_string(), r#"the collection `a` has a document with the `_id` "x" already"#);
    assert_eq!(find(documents, "a", doc! {}).await, [doc! { "_id": "x" }]);
}

async fn unsupported_documents_are_refused(documents: &Documents) {
    let deep = (0..100).fold(doc! { "x": 1 }, |inner, _| doc! { "d": inner });
    let cases = [
        ("", doc! {}, "a collection's name must not be empty"),
        ("a$b", doc! {}, "`a$b` cannot name a collection: it holds `$` or a NUL, or starts with `system.`"),
        ("a", doc! { "_id": [1] }, "`_id` cannot be an array"),
        ("a", doc! { "a": { "b\0": 1 } }, "the field `a.b\\u{0}` has a NUL in its name"),
        ("a", deep, "is nested deeper than 100 levels"),
        ("a", doc! { "a": "x".repeat(MAX_SIZE) }, "a document has at most 16777216"),
    ];
    for (collection, document, part) in cases {
        let error = documents.save(collection, document).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(find(documents, "a", doc! {}).await.is_empty());
}

async fn the_largest_document_is_kept(documents: &Documents) {
    // Bytes besides the text: the document's frame, its `_id` and the field's name and size.
    let frame = doc! { "_id": 1, "text": "" }.to_vec().unwrap().len();
    let document = doc! { "_id": 1, "text": "x".repeat(MAX_SIZE - frame) };
    documents.save("large", document.clone()).await.unwrap();
    assert!(find(documents, "large", doc! { "_id": 1 }).await == [document]);
}

async fn wrong_queries_are_reported(documents: &Documents) {
    documents.save("a", doc! { "a": 1 }).await.unwrap();
    for (query, part) in [(doc! { "a": { "$near": 1 } }, "$near"), (doc! { "$or": 1 }, "$or")] {
        let error = match documents.find("a", query.clone()).await {
            Ok(found) => found.try_collect::<Vec<_>>().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(hint::chain(&error).contains(part), "{query}: {}", hint::chain(&error));
    }
}

async fn many_documents_stream(documents: &Documents) {
    let saves = (0..300).map(|n| documents.save("many", doc! { "n": n, "text": "x".repeat(10_000) }));
    futures::future::try_join_all(saves).await.unwrap();
    let mut numbers: Vec<_> = find(documents, "many", doc! { "n": { "$gte": 50 } })
        .await
        .iter()
        .map(|document| document.get_i32("n").unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (50..300).collect::<Vec<_>>());
    // A search that stops early leaves the store intact.
    let mut found = documents.find("many", doc! {}).await.unwrap();
    found.try_next().await.unwrap().unwrap();
    drop(found);
    assert_eq!(find(documents, "many", doc! { "n": 7 }).await.len(), 1);
}

async fn predictions_are_found_by_version_and_time(documents: &Documents) {
    for (version, second) in [("v1", 20), ("v1", 21), ("v2", 22)] {
        let date = format!("2023-11-14T22:13:{second}.500000Z");
        documents.save(PREDICTIONS, doc! { "versionName": version, "date": date }).await.unwrap();
    }
    let moment = |second: i64| (1_700_000_000 + second) * 1_000_000_000;
    let rows = [
        (PredictionFilter::default(), 3),
        (PredictionFilter { version: Some("v1".into()), ..PredictionFilter::default() }, 2),
        (PredictionFilter { version: None, from: Some(moment(1)), to: Some(moment(2)) }, 1),
    ];
    for (filter, expected) in rows {
        assert_eq!(find(documents, PREDICTIONS, filter.query()).await.len(), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_lost_server_is_reported_soon() {
    let Some(mut fixture) = mongo("a_lost_server_is_reported_soon").await else { return };
    fixture.documents.save("a", doc! {}).await.unwrap();
    fixture.server.as_mut().unwrap().kill();
    let error = fixture.documents.save("a", doc! {}).await.unwrap_err();
    assert!(error.to_string().starts_with("MongoDB at `mongodb://127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn invalid_addresses_are_reported_without_secrets() {
    let cases = [
        ("mongodb://ada:s3cret/@localhost:1", "the user and the password must be percent-encoded"),
        ("mongodb://ada:s3cret@localhost:99999", "port"),
        ("mongodb://ada:s3cret@localhost:1/?w=0", "no save is ever confirmed"),
        ("postgres://ada:s3cret@localhost", "scheme"),
        ("ada:s3cret@localhost", "scheme"),
        ("mongodb://ada:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=50", "hint: is it up"),
    ];
    for (url, part) in cases {
        let error = Mongo::connect(&Address::from(url), "shop").await.unwrap_err();
        let error_text = hint::chain(&error);
        assert!(error_text.contains(part), "{url}: {error_text}");
        assert!(!format!("{error_text} {error:?}").contains("s3cret"), "{url}: {error_text} {error:?}");
    }
}
