//! The node in Go of the document that users have.

use crate::support::Krt;
use krt_store::{Order, PointFilter, Value};
use serde_json::json;

#[tokio::test]
async fn it_compiles_and_runs_as_it_is_written() {
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
