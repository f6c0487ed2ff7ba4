//! Log records: their attribution, and data that they never contain (docs/reference/krt-v1.md#logs).

use crate::support::{Krt, lines::Record};
use serde_json::json;
use std::{collections::BTreeSet, path::Path};

/// A node's records for a request.
fn of_request(records: &[Record], node: &str) -> Vec<Record> {
    let of = |record: &&Record| record.node.as_deref() == Some(node) && record.request.is_some();
    records.iter().filter(of).cloned().collect()
}

#[tokio::test]
async fn records_name_their_node_and_request() {
    let service = Krt::run("context").flag("--log-level", "debug").start().await;
    service.call("Alone", json!({ "act": "speak" })).await.unwrap();
    let ended = service.stop().await;
    assert_eq!(ended.lines.plain(), "", "every line is a record");
    let records = of_request(&ended.lines.records(), "first");
    let said: Vec<_> = records.iter().map(|record| (&*record.level, &*record.message)).collect();
    assert_eq!(
        said[..5],
        [
            ("DEBUG", "a debug record"),
            ("INFO", "an info record"),
            ("WARN", "a warning"),
            ("ERROR", "an error record"),
            ("INFO", "a printed line\nand another"),
        ]
    );
    let (level, traceback) = said[5];
    assert_eq!(level, "ERROR");
    assert!(traceback.starts_with("with its traceback\nTraceback (most recent call last):\n"), "{traceback}");
    assert!(traceback.ends_with("\nLookupError: was caught"), "{traceback}");
    for record in &records {
        assert_eq!(record.version.as_deref(), Some("context-v1"));
        assert_eq!(record.workflow.as_deref(), Some("alone"));
        assert_eq!(record.request, records[0].request);
        let time = &record.time;
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    }
}

#[tokio::test]
async fn background_tasks_keep_their_request() {
    let service = Krt::run("context").start().await;
    service.call("Alone", json!({ "act": "leave_a_task" })).await.unwrap();
    service.call("Alone", json!({ "act": "speak" })).await.unwrap();
    service.scratch.put("go");
    let record = service.lines.wait("the task's record", |record| record.is("first", "later")).await;
    let records = service.lines.records();
    let other = records.iter().find(|record| record.message == "a warning").unwrap();
    assert!(record.request.is_some() && record.request != other.request, "{record:?}");
    assert_eq!(record.workflow.as_deref(), Some("alone"));

    let ended = service.stop().await;
    let filter = krt_store::PointFilter { measurement: "later".to_owned(), ..Default::default() };
    let points = ended.reader().points(&filter, krt_store::Order::OldestFirst, 10).unwrap();
    assert_eq!(points[0].tags["workflow"], "alone");
}

#[tokio::test]
async fn a_failing_handler_logs_its_traceback_under_its_request() {
    let service = Krt::run("context").start().await;
    for text in ["one", "two"] {
        service.call("Alone", json!({ "act": "fail", "text": text })).await.unwrap_err();
    }
    let ended = service.stop().await;
    let records = of_request(&ended.lines.records(), "first");
    let requests: BTreeSet<_> = records.iter().map(|record| record.request.clone()).collect();
    assert_eq!((records.len(), requests.len()), (2, 2), "{records:?}");
    for (record, text) in records.iter().zip(["one", "two"]) {
        assert_eq!(record.level, "ERROR");
        assert!(record.message.starts_with("Traceback (most recent call last):\n"), "{record:?}");
        assert!(record.message.contains("effects.py\", line "), "{record:?}");
        assert!(record.message.ends_with(&format!("\nValueError: {text}")), "{record:?}");
    }
}

#[tokio::test]
async fn lower_levels_are_omitted() {
    let service = Krt::run("context").start().await;
    service.call("Alone", json!({ "act": "speak" })).await.unwrap();
    let ended = service.stop().await;
    let records = ended.lines.records();
    assert!(records.iter().any(|record| record.message == "an info record"));
    assert!(records.iter().all(|record| record.level != "DEBUG"), "{records:?}");
}

#[tokio::test]
async fn records_are_stored() {
    let service = Krt::run("context").start().await;
    service.call("Alone", json!({ "act": "speak" })).await.unwrap();
    let ended = service.stop().await;
    let page = ended.reader().logs(&krt_store::LogFilter::default(), 1000).unwrap();
    let stored: Vec<_> = page.records.iter().map(|record| (record.node.clone(), &*record.message)).collect();
    for record in of_request(&ended.lines.records(), "first") {
        assert!(stored.contains(&(record.node.clone(), &record.message)), "{record:?}");
    }
}

#[tokio::test]
async fn credentials_are_never_logged() {
    const SECRETS: [&str; 3] = ["k3y-of-the-api", "pl4in-value", "-----BEGIN s3cret-----"];
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("certificate.pem");
    std::fs::write(&certificate, SECRETS[2]).unwrap();
    let service = Krt::run("secret")
        .flag("--set", format!("API_KEY={}", SECRETS[0]))
        .env("PLAIN", SECRETS[1])
        .flag("--set-file", format!("CERTIFICATE={}", certificate.display()))
        .flag("--log-level", "debug")
        .start()
        .await;
    let lengths = format!("{:?}", SECRETS.map(str::len));
    assert_eq!(service.call("Run", json!({})).await.unwrap(), json!({ "text": lengths }));
    for text in ["fail", "die"] {
        let status = service.call("Run", json!({ "text": text })).await.unwrap_err();
        assert!(SECRETS.iter().all(|secret| !status.message().contains(secret)), "{status}");
    }
    service.lines.wait("the restart", |record| record.is("keeper", "up again")).await;
    let ended = service.stop().await;
    for secret in SECRETS {
        assert!(!ended.lines.text().contains(secret), "{}", ended.lines.text());
        assert!(!is_below(ended.data(), secret), "the store holds {secret}");
    }
}

/// Whether any file of a folder contains a text.
fn is_below(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|file| file.windows(text.len()).any(|part| part == text.as_bytes()))
}
