//! The metrics of `krt run --metrics` for Prometheus.

use crate::support::{Krt, Service, eventually, http::Http};
use http::Method;
use rustix::process::Signal;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

/// The values, by name with labels.
async fn read(service: &Service) -> BTreeMap<String, f64> {
    let record = service.lines.wait("the page", |record| record.message.starts_with("metrics are at ")).await;
    let address = record.message.strip_prefix("metrics are at http://").unwrap();
    let client = Http::one(address.strip_suffix("/metrics").unwrap().parse().unwrap());
    let page = client.send(Method::GET, "/metrics", &[], "").await;
    assert!(page.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert_eq!(client.send(Method::GET, "/", &[], "").await.status, 404);
    let numbers = text.lines().filter(|line| !line.starts_with('#'));
    numbers
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn requests_failures_times_and_processes_are_counted() {
    let service = Krt::run("statuses").flag("--metrics", "127.0.0.1:0").start().await;
    let act = |way: &str| json!({ "way": way, "text": "x" });
    for _ in 0..3 {
        service.call("Act", act("answer")).await.unwrap();
    }
    service.call("Act", act("fail")).await.unwrap_err();
    service.call_within(Duration::from_millis(200), "Act", act("wait")).await.unwrap_err();
    let [worker] = service.workers("worker")[..] else { panic!("one process runs the node") };
    crate::support::processes::signal(worker, Signal::KILL);
    let again = async || service.call("Act", act("answer")).await.ok();
    eventually("the node answers again", again).await;

    let numbers = read(&service).await;
    let number = |name: &str| numbers.get(name).copied().unwrap_or_default();
    assert_eq!(number("krt_requests_total{workflow=\"act\",outcome=\"answered\"}"), 4.0, "{numbers:#?}");
    assert_eq!(number("krt_request_failures_total{workflow=\"act\",kind=\"handler\"}"), 1.0);
    assert_eq!(number("krt_worker_restarts_total{node=\"worker\"}"), 1.0);
    assert_eq!(number("krt_workers{node=\"worker\"}"), 1.0);
    assert_eq!(number("krt_requests_in_flight"), 0.0);
    assert_eq!(number("krt_queue_depth{node=\"worker\"}"), 0.0);
    assert_eq!(
        number("krt_handler_duration_seconds_count{node=\"worker\"}"),
        5.0,
        "four answers and an error"
    );
    assert_eq!(number("krt_queue_wait_seconds_count{node=\"worker\"}"), 5.0);
    let ended = number("krt_requests_total{workflow=\"act\",outcome=\"failed\"}")
        + number("krt_requests_total{workflow=\"act\",outcome=\"left\"}");
    assert!(ended >= 2.0, "{numbers:#?}");
    service.stop().await;
}
