//! Writes and reads real files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bson::{Bson, Document, doc, oid::ObjectId};
use futures::{StreamExt, TryStreamExt};
use krt_store::{Error, Fault, FindLimits, Options, PredictionFilter, Reader, Store, Writer};
use std::{path::Path, time::Duration};
use tempfile::TempDir;

fn open(folder: &Path) -> (Store, Writer) {
    Store::open(folder, &Options::default()).unwrap()
}

async fn find(reader: &Reader, collection: &str, query: Document, limits: FindLimits) -> Vec<Document> {
    let found = reader.find(collection, &query, limits).unwrap();
    found
        .map(|raw| Document::try_from(&*raw.unwrap()).map_err(|e| e.to_string()))
        .try_collect()
        .await
        .unwrap()
}

#[tokio::test]
async fn documents_are_found_as_they_were_saved() {
    let folder = TempDir::new().unwrap();
    let (store, writer) = open(folder.path());
    let date = bson::DateTime::from_millis(1_700_000_000_123);
    let document =
        doc! { "b": 1_i32, "a": 2_i64, "f": 1.0, "when": date, "nested": { "list": [1, "x", null] } };
    let id = store.save("things", document.clone()).await.unwrap();
    assert!(matches!(id, Bson::ObjectId(_)));

    let mut expected = doc! { "_id": id.clone() };
    expected.extend(document);
    let by_id = find(store.reader(), "things", doc! { "_id": id }, FindLimits::default()).await;
    assert_eq!(by_id, [expected.clone()]);
    assert_eq!(
        find(store.reader(), "things", doc! { "nested.list": "x" }, FindLimits::default()).await,
        [expected]
    );
    assert!(find(store.reader(), "things", doc! { "a": 3 }, FindLimits::default()).await.is_empty());
    assert!(find(store.reader(), "nothing", doc! {}, FindLimits::default()).await.is_empty());
    writer.close();

    let later = Reader::open(folder.path()).unwrap();
    assert_eq!(find(&later, "things", doc! {}, FindLimits::default()).await.len(), 1);
}

#[tokio::test]
async fn ids_are_unique_within_a_collection() {
    let folder = TempDir::new().unwrap();
    let (store, _writer) = open(folder.path());
    store.save("a", doc! { "_id": 1 }).await.unwrap();
    store.save("b", doc! { "_id": 1 }).await.unwrap();
    for same in [Bson::Int32(1), Bson::Int64(1), Bson::Double(1.0)] {
        let error = store.save("a", doc! { "_id": same }).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the collection `a` has a document with the `_id` {} already",
                match &error {
                    Error::Duplicate { id, .. } => id.clone(),
                    other => panic!("{other}"),
                }
            )
        );
        assert_eq!(error.fault(), Fault::Caller);
    }
    assert_eq!(find(store.reader(), "a", doc! {}, FindLimits::default()).await, [doc! { "_id": 1 }]);
}

#[tokio::test]
async fn concurrent_saves_are_all_kept_in_order() {
    let folder = TempDir::new().unwrap();
    let (store, _writer) = open(folder.path());
    let saves = (0..2000).map(|n| {
        let store = store.clone();
        async move { store.save("many", doc! { "n": n, "id": ObjectId::new() }).await.unwrap() }
    });
    let ids: Vec<_> = futures::stream::iter(saves).buffer_unordered(64).collect().await;
    assert_eq!(ids.len(), 2000);
    let all = find(store.reader(), "many", doc! {}, FindLimits::default()).await;
    assert_eq!(all.len(), 2000);

    let limits = FindLimits { skip: 5, limit: Some(3), newest_first: false };
    assert_eq!(find(store.reader(), "many", doc! {}, limits).await, all[5..8]);
    let limits = FindLimits { limit: Some(2), newest_first: true, ..FindLimits::default() };
    let mut last: Vec<_> = all[1998..].to_vec();
    last.reverse();
    assert_eq!(find(store.reader(), "many", doc! {}, limits).await, last);
}

#[tokio::test]
async fn an_ordered_save_ends_at_its_first_error() {
    let folder = TempDir::new().unwrap();
    let (store, _writer) = open(folder.path());
    let documents = |same: usize| {
        let ids = (0..500).map(move |n| if n == same { 0 } else { i32::try_from(n).unwrap() });
        ids.map(|id| doc! { "_id": id }).collect::<Vec<_>>()
    };
    for same in [1, 250, 499] {
        let (ordered, all) = (format!("ordered_{same}"), format!("all_{same}"));
        let results = store.save_many(&ordered, documents(same), true).await;
        assert_eq!(results.len(), same + 1);
        assert!(matches!(results.last(), Some(Err(Error::Duplicate { .. }))), "{same}");
        assert!(results[..same].iter().all(Result::is_ok), "{same}");
        let found = find(store.reader(), &ordered, doc! {}, FindLimits::default()).await;
        assert_eq!(found, documents(same)[..same]);
        let results = store.save_many(&all, documents(same), false).await;
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
        assert!(results[same].is_err() && results.len() == 500, "{same}");
        assert_eq!(find(store.reader(), &all, doc! {}, FindLimits::default()).await.len(), 499);
    }
    let bad = vec![doc! { "_id": 1 }, doc! { "_id": [1] }, doc! { "_id": 2 }];
    let results = store.save_many("bad", bad, true).await;
    assert!(matches!(&results[..], [Ok(_), Err(Error::Document(_))]), "{results:?}");
    assert_eq!(find(store.reader(), "bad", doc! {}, FindLimits::default()).await, [doc! { "_id": 1 }]);
}

#[tokio::test]
async fn searches_do_not_see_later_saves() {
    let folder = TempDir::new().unwrap();
    let (store, _writer) = open(folder.path());
    for n in 0..600 {
        store.save("c", doc! { "n": n }).await.unwrap();
    }
    let mut found = Box::pin(store.reader().find("c", &doc! {}, FindLimits::default()).unwrap());
    found.next().await.unwrap().unwrap();
    store.save("c", doc! { "n": 600 }).await.unwrap();
    assert_eq!(found.count().await, 599);
}

#[tokio::test]
async fn only_one_process_writes() {
    let folder = TempDir::new().unwrap();
    let (_store, writer) = open(folder.path());
    let error = Store::open(folder.path(), &Options::default()).unwrap_err();
    assert!(matches!(&error, Error::InUse { path } if path == folder.path()), "{error}");
    assert!(krt_model::hint::line(&error).ends_with("; hint: stop it, or choose another folder"), "{error}");
    writer.close();
    let _again = open(folder.path());
}

#[tokio::test]
async fn a_closed_store_refuses_writes() {
    let folder = TempDir::new().unwrap();
    let (store, writer) = open(folder.path());
    writer.close();
    assert!(matches!(store.save("a", doc! {}).await, Err(Error::Closed)));
    assert!(matches!(store.flush().await, Err(Error::Closed)));
    store
        .measure(&krt_store::Point { measurement: "m", tags: &[], fields: &[("f", 1_i64.into())], time: 0 })
        .unwrap();
    assert_eq!(store.counters().points_dropped, 1);
}

#[test]
fn a_missing_store_is_reported() {
    let folder = TempDir::new().unwrap();
    let error = Reader::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Missing { path } if path == folder.path()), "{error}");
}

const NO_DATABASE: &str = "this is no database, but a text that somebody put here by mistake";

#[test]
fn damaged_documents_are_named_and_kept() {
    let folder = TempDir::new().unwrap();
    open(folder.path()).1.close();
    let path = folder.path().join("documents.db");
    std::fs::write(&path, NO_DATABASE.repeat(100)).unwrap();
    let damaged = |error: &Error| matches!(error, Error::Damaged { path: named, .. } if *named == path);
    let error = Store::open(folder.path(), &Options::default()).unwrap_err();
    assert!(damaged(&error), "{error}");
    let error = Reader::open(folder.path()).unwrap_err();
    assert!(damaged(&error), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), NO_DATABASE.repeat(100));
}

/// The contents of telemetry files that were moved aside.
fn set_aside(folder: &Path) -> Vec<Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("telemetry.db.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[tokio::test]
async fn damaged_telemetry_is_moved_aside_and_documents_are_kept() {
    let folder = TempDir::new().unwrap();
    let (store, writer) = open(folder.path());
    store.save("a", doc! { "n": 1 }).await.unwrap();
    writer.close();
    drop(store);
    std::fs::write(folder.path().join("telemetry.db"), NO_DATABASE.repeat(100)).unwrap();
    let (store, _writer) = open(folder.path());
    assert_eq!(set_aside(folder.path()), [NO_DATABASE.repeat(100).into_bytes()]);
    assert_eq!(find(store.reader(), "a", doc! {}, FindLimits::default()).await.len(), 1);
    measure_one(&store).await;
    assert_eq!(store.counters().points_written, 1);
}

async fn measure_one(store: &Store) {
    let point = krt_store::Point { measurement: "m", tags: &[], fields: &[("f", 1_i64.into())], time: now() };
    store.measure(&point).unwrap();
    store.flush().await.unwrap();
}

/// Nanoseconds since the Unix epoch.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

#[tokio::test]
async fn telemetry_found_damaged_is_replaced_during_writes() {
    let folder = TempDir::new().unwrap();
    let options = Options { flush_interval: Duration::from_millis(1), ..Options::default() };
    let (store, writer) = Store::open(folder.path(), &options).unwrap();
    for text in 0..200 {
        let text = format!("{text}").repeat(2000);
        let fields = [("text", text.as_str().into())];
        store
            .measure(&krt_store::Point { measurement: "m", tags: &[], fields: &fields, time: now() })
            .unwrap();
        store.flush().await.unwrap();
    }
    writer.close();
    drop(store);
    let path = folder.path().join("telemetry.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // The first page, with the schema, stays intact.
    bytes[4 << 10..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();

    let (store, _writer) = open(folder.path());
    // A reader with the damaged file open sees the new one afterwards.
    let reader = store.reader().clone();
    measure_one(&store).await;
    measure_one(&store).await;
    assert!(store.counters().points_written > 0);
    assert_eq!(set_aside(folder.path()).len(), 1);
    assert_eq!(reader.measurements().unwrap(), ["m"]);
}

#[tokio::test]
async fn snapshots_are_consistent_during_writes() {
    let folder = TempDir::new().unwrap();
    let (store, writer) = open(folder.path());
    store.save("a", doc! { "n": 1 }).await.unwrap();
    measure_one(&store).await;
    let snapshot = krt_store::Snapshot::take(folder.path()).unwrap();
    store.save("a", doc! { "n": 2 }).await.unwrap();
    let copy = TempDir::new().unwrap();
    let mut copied = 0;
    snapshot.write(copy.path(), |bytes| copied += bytes).unwrap();
    assert!(copied > 0);
    writer.close();
    let (copy, _writer) = open(copy.path());
    assert_eq!(find(copy.reader(), "a", doc! {}, FindLimits::default()).await.len(), 1);
    assert_eq!(copy.reader().measurements().unwrap(), ["m"]);
}

#[test]
fn files_are_private_to_their_user() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("data");
    let (_store, _writer) = open(&folder);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_foreign_or_newer_file_is_refused() {
    let folder = TempDir::new().unwrap();
    open(folder.path()).1.close();
    let path = folder.path().join("documents.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = Store::open(folder.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 7, known: 1, .. }), "{error}");

    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "application_id", 7).unwrap();
    let error = Store::open(folder.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_fails_only_saves() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        file_limit: Some(256 << 10),
        flush_interval: Duration::from_millis(1),
        ..Options::default()
    };
    let (store, writer) = Store::open(folder.path(), &options).unwrap();
    let large = || doc! { "x": "y".repeat(20_000) };
    let mut saved = 0;
    let error = loop {
        match store.save("a", large()).await {
            Ok(_) => saved += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Operator);
    assert_eq!(find(store.reader(), "a", doc! {}, FindLimits::default()).await.len(), saved);

    // Measurements and logs have a separate file with the same limit.
    let text = "z".repeat(50_000);
    while store.counters().points_dropped == 0 {
        let fields = [("text", text.as_str().into()), ("n", 1_i64.into())];
        store.measure(&krt_store::Point { measurement: "m", tags: &[], fields: &fields, time: 0 }).unwrap();
        store.flush().await.unwrap();
    }
    assert!(store.counters().points_written > 0);
    writer.close();

    // Once there is room again, everything works.
    let (store, _writer) = open(folder.path());
    store.save("a", large()).await.unwrap();
}

#[tokio::test]
async fn damage_within_a_file_is_an_error() {
    let folder = TempDir::new().unwrap();
    let (store, writer) = open(folder.path());
    for n in 0..500 {
        store.save("c", doc! { "n": n, "text": "x".repeat(1000) }).await.unwrap();
    }
    writer.close();
    drop(store);
    let path = folder.path().join("documents.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16 << 10..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let reader = Reader::open(folder.path()).unwrap();
    let found = reader.find("c", &doc! {}, FindLimits::default()).unwrap();
    let error = found.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(&error, Error::Damaged { path: named, .. } if *named == path), "{error}");
}

#[tokio::test]
async fn predictions_are_found_by_version_and_time() {
    let folder = TempDir::new().unwrap();
    let (store, _writer) = open(folder.path());
    for (version, date) in [
        ("v1", "2023-11-14T22:13:20.000000Z"),
        ("v1", "2023-11-14T22:13:21.500000Z"),
        ("v2", "2023-11-14T22:13:22.000000Z"),
    ] {
        store.save(krt_store::PREDICTIONS, doc! { "versionName": version, "date": date }).await.unwrap();
    }
    let second = 1_000_000_000;
    let start = 1_700_000_000 * second;
    let dates = async |filter: PredictionFilter| -> Vec<String> {
        let found = find(store.reader(), krt_store::PREDICTIONS, filter.query(), FindLimits::default()).await;
        found.iter().map(|document| document.get_str("date").unwrap()[17..19].to_owned()).collect()
    };
    assert_eq!(dates(PredictionFilter::default()).await, ["20", "21", "22"]);
    let version = PredictionFilter { version: Some("v1".into()), ..PredictionFilter::default() };
    assert_eq!(dates(version.clone()).await, ["20", "21"]);
    let time = PredictionFilter { from: Some(start + 1), to: Some(start + 2 * second), version: None };
    assert_eq!(dates(time).await, ["21"]);
}

#[tokio::test]
async fn old_documents_are_deleted_only_on_request() {
    let folder = TempDir::new().unwrap();
    let (store, writer) = open(folder.path());
    for n in 0..1200 {
        store.save("c", doc! { "n": n }).await.unwrap();
    }
    writer.close();
    let count = |store: &Store| store.reader().collections().unwrap()[0].documents;
    let (store, writer) = open(folder.path());
    assert_eq!(count(&store), 1200);
    writer.close();

    let options = Options { document_age: Some(Duration::ZERO), ..Options::default() };
    let (store, _writer) = Store::open(folder.path(), &options).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while count(&store) > 0 && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(count(&store), 0);
}
