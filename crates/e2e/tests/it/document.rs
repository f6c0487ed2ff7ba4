//! The nodes of the document for users, exactly as written there.

use crate::support::Krt;
use krt_store::{Order, PointFilter, Value};
use serde_json::json;

#[tokio::test]
async fn the_go_package_compiles_and_runs() {
    let service = Krt::run("document").start().await;
    let answer = service.call("Etl", json!({ "component": "pump" })).await.unwrap();
    assert_eq!(answer, json!({ "component": "pump" }));
    let ended = service.stop().await;
    let records = ended.lines.records();
    for (message, of_request) in [("init handler", false), ("[handler invoked]", true), ("Hello, pump", true)]
    {
        let record = records.iter().find(|record| record.is("etl", message)).unwrap();
        assert_eq!((&*record.level, record.request.is_some()), ("INFO", of_request), "{message}");
    }
    let filter = PointFilter { measurement: "etl_calls".to_owned(), ..PointFilter::default() };
    let points = ended.reader().points(&filter, Order::OldestFirst, 10).unwrap();
    let [point] = &points[..] else { panic!("{points:?}") };
    assert_eq!(point.fields["called_node"], Value::Text("etl".into()));
    assert_eq!(point.tags["component"], "pump");
}

/// Installs the node's requirements from the package index on its first run.
#[tokio::test]
async fn the_python_package_runs() {
    let service = Krt::run("document-py").start().await;
    let request = json!({ "price_category": "high", "request": { "rooms": 4, "city": "Turin" } });
    let answer = service.call("Estimate", request).await.unwrap();
    let expected = json!({
        "success": true, "message": "Predicted market price", "marketPrice": 1250.5, "category": "high in EUR",
    });
    assert_eq!(answer, expected);
    let ended = service.stop().await;
    let records = ended.lines.records();
    for (message, of_request) in
        [("[worker init]", false), ("Estimated market price[1250.5] with label[high in EUR]", true)]
    {
        let record = records.iter().find(|record| record.is("estimator", message)).unwrap();
        assert_eq!((&*record.level, record.request.is_some()), ("INFO", of_request), "{message}");
    }
    let filter = PointFilter { measurement: "estimates".to_owned(), ..PointFilter::default() };
    let points = ended.reader().points(&filter, Order::OldestFirst, 10).unwrap();
    let [point] = &points[..] else { panic!("{points:?}") };
    let fields: Vec<_> = point.fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let expected = [
        ("city", Value::Text("Turin".into())),
        ("garden", Value::Bool(false)),
        ("prediction", Value::Text("high in EUR".into())),
        ("rooms", Value::Text("4".into())),
    ];
    assert_eq!(fields, expected, "proto3 JSON writes an int64 as text");
    assert_eq!(point.tags["source"], "document");
}
