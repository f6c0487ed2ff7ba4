//! The databases of runtimes on one server.

use bson::doc;
use futures::TryStreamExt as _;
use krt_model::hint;
use krt_remote::{Address, Documents, Servers, Stores};
use krt_servers::{InfluxServer, MongoServer};
use krt_store::{Options, Point};
use std::time::Duration;
use tempfile::TempDir;

fn open(servers: &Servers, folder: &TempDir, runtime: &str) -> Stores {
    let options = Options { flush_interval: Duration::from_millis(10), ..Options::default() };
    Stores::open(&folder.path().join(runtime), &options, servers, runtime).unwrap()
}

async fn count(documents: &Documents) -> usize {
    documents.find("things", doc! {}).await.unwrap().try_collect::<Vec<_>>().await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_runtime_takes_nothing_of_another() {
    let test = "a_deleted_runtime_takes_nothing_of_another";
    let (Some(mongo), Some(influx)) = (MongoServer::start(test), InfluxServer::start(test, false)) else {
        return;
    };
    let (mongo, url) = (Address::from(&*mongo.url), format!("http://127.0.0.1:{}", influx.port));
    let servers = Servers::connect(Some(&mongo), Some(&(&*url).into())).await.unwrap();
    let folder = TempDir::new().unwrap();
    // Nothing is there yet.
    servers.delete("shop").await.unwrap();
    for runtime in ["shop", "bank"] {
        let stores = open(&servers, &folder, runtime);
        stores.documents.save("things", doc! { "of": runtime }).await.unwrap();
        let fields = [("n", 1_i64.into())];
        stores.store.measure(&Point { measurement: "m", tags: &[], fields: &fields, time: 1 }).unwrap();
        stores.close().await;
        stores.close().await;
        let state = stores.influx.as_ref().unwrap().state();
        assert_eq!((state.written, state.waiting, state.dropped, state.away), (1, 0, 0, None), "{runtime}");
    }
    servers.delete("shop").await.unwrap();
    let documents = |runtime| open(&servers, &folder, runtime).documents.clone();
    assert_eq!((count(&documents("shop")).await, count(&documents("bank")).await), (0, 1));
    for (runtime, expected) in [("shop", None), ("bank", Some(1))] {
        let answer = influx.query("GET", runtime, None, "SELECT n FROM m").await;
        let rows = answer["results"][0]["series"][0]["values"].as_array().map(Vec::len);
        assert_eq!(rows, expected, "{runtime}: {answer}");
    }
}

#[tokio::test]
async fn a_refused_deletion_has_a_reason_without_secrets() {
    let Some(influx) = InfluxServer::start("a_refused_deletion_has_a_reason_without_secrets", true) else {
        return;
    };
    for text in
        ["CREATE USER ada WITH PASSWORD 'root' WITH ALL PRIVILEGES", "CREATE USER eve WITH PASSWORD 's3cret'"]
    {
        influx.query("POST", "", Some("ada:root"), text).await;
    }
    for (address, part) in [
        (format!("http://eve:s3cret@127.0.0.1:{}", influx.port), "403 Forbidden"),
        ("http://eve:s3cret@127.0.0.1:1".to_owned(), "Connection refused"),
    ] {
        let servers = Servers::connect(None, Some(&(&*address).into())).await.unwrap();
        let error = servers.delete("shop").await.unwrap_err();
        let text = hint::chain(&error);
        assert!(text.contains(part) && text.contains("hint: ") && !text.contains("s3cret"), "{text}");
        assert!(error.is_elsewhere());
    }
}
