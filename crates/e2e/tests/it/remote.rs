//! `krt run` with remote stores: MongoDB and InfluxDB.

use crate::{context::value, support::Krt};
use bson::{Document, doc};
use futures::TryStreamExt as _;
use krt_remote::{Documents, Mongo};
use krt_servers::{InfluxServer, MongoServer};
use krt_store::PREDICTIONS;
use serde_json::json;

async fn count(documents: &Documents, collection: &str) -> usize {
    let found = documents.find(collection, Document::new()).await.unwrap();
    found.try_collect::<Vec<_>>().await.unwrap().len()
}

#[tokio::test]
async fn documents_and_predictions_are_kept_in_mongodb() {
    let Some(server) = MongoServer::start("documents_and_predictions_are_kept_in_mongodb") else { return };
    let service = Krt::run("context").flag("--mongo", &server.url).start().await;
    let found = value(&service, "save_document").await;
    assert_eq!(found["differing"], json!([]));
    assert_eq!(value(&service, "find_documents").await, json!([3, 3, 0, 5, 1]));
    service.call("Alone", json!({ "act": "predict" })).await.unwrap();
    let ended = service.stop().await;
    assert_eq!(ended.reader().collections().unwrap(), [], "nothing is kept here");
    let mongo = Mongo::connect(&(*server.url).into(), "context-v1").await.unwrap();
    let mongo = Documents::Mongo(mongo);
    assert_eq!(count(&mongo, "things").await, 1);
    assert!(count(&mongo, PREDICTIONS).await > 0);
    let found = mongo.find("things", doc! { "date": { "$type": "date" } }).await.unwrap();
    assert_eq!(found.try_collect::<Vec<_>>().await.unwrap().len(), 1, "MongoDB's own operators are there");
}

#[tokio::test]
async fn measurements_are_written_to_influxdb() {
    let Some(server) = InfluxServer::start("measurements_are_written_to_influxdb", false) else { return };
    let url = format!("http://ada:s3cret@127.0.0.1:{}", server.port);
    let service = Krt::run("context").flag("--influx", url).start().await;
    service.call("Alone", json!({ "act": "measure" })).await.unwrap();
    let ended = service.stop().await;
    for (measurement, workflow, node) in [
        ("kinds", json!("alone"), json!("first")),
        ("node_elapsed_time", json!("alone"), json!("first")),
        ("workflow_elapsed_time", json!("alone"), json!("")),
    ] {
        let query = format!("SELECT * FROM \"{measurement}\" GROUP BY workflow, version, node");
        let answer = server.query("GET", "context-v1", None, &query).await;
        let series = &answer["results"][0]["series"][0];
        let tags = json!({ "workflow": workflow, "version": "context-v1", "node": node });
        assert_eq!(series["tags"], tags, "{measurement}: {answer}");
        assert_eq!(series["values"].as_array().map(Vec::len), Some(1), "{measurement}: {answer}");
    }
    assert!(!ended.lines.text().contains("s3cret"), "{}", ended.lines.text());
}

#[tokio::test]
async fn unreachable_stores_fail_the_start_without_leaking_secrets() {
    let cases = [
        ("--mongo", "mongodb://ada:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=50", "cannot use MongoDB at"),
        ("--mongo", "mysql://ada:s3cret@127.0.0.1", "is not a URL of MongoDB"),
        ("--influx", "ftp://ada:s3cret@127.0.0.1", "is not a URL of InfluxDB"),
    ];
    for (flag, url, part) in cases {
        let ended = Krt::run("context").flag(flag, url).spawn().end().await;
        let text = ended.lines.text();
        assert_eq!(ended.code, Some(1), "{text}");
        assert!(text.contains(part) && !text.contains("s3cret"), "{flag}: {text}");
    }
}
