//! `ctx.db` and `ctx.prediction`, down to what is on the disk (KRT v1, "Context").

use crate::{
    context::value,
    support::{Krt, assert_status, service::Ended},
};
use bson::{Bson, Document, doc};
use futures::TryStreamExt as _;
use krt_store::{FindLimits, PREDICTIONS};
use serde_json::json;
use tonic::Code;

/// All documents of a collection, as they were saved.
async fn saved(ended: &Ended, collection: &str) -> Vec<Document> {
    let found = ended.reader().find(collection, &doc! {}, FindLimits::default()).unwrap();
    let documents = found.and_then(async |raw| Ok(Document::try_from(raw).unwrap()));
    documents.try_collect().await.unwrap()
}

#[tokio::test]
async fn documents_are_found_as_they_were_saved() {
    let service = Krt::run("context").start().await;
    let found = value(&service, "save_document").await;
    let keys = ["bytes", "date", "inner", "large", "list", "nothing", "real", "text", "whole", "yes"];
    assert_eq!(found, json!({ "differing": [], "keys": keys }));
    let ended = service.stop().await;
    let things = saved(&ended, "things").await;
    let [thing] = &things[..] else { panic!("{things:?}") };
    assert_eq!(thing.get("large"), Some(&Bson::Int64((1 << 53) + 1)));
    assert!(matches!(thing.get("whole"), Some(Bson::Int32(7) | Bson::Int64(7))), "{thing}");
    assert_eq!(thing.get("real"), Some(&Bson::Double(7.0)));
    assert_eq!(thing.get_datetime("date").unwrap().timestamp_millis(), 1_709_209_815_250);
    assert_eq!(thing.get_binary_generic("bytes").unwrap(), b"\x00\xff");
    assert_eq!(thing.get("nothing"), Some(&Bson::Null));
}

#[tokio::test]
async fn find_understands_queries_and_save_works_in_init() {
    let service = Krt::run("context").start().await;
    assert_eq!(value(&service, "find_documents").await, json!([3, 3, 0, 5, 1]));
    service.stop().await;
}

#[tokio::test]
async fn documents_outlive_the_service() {
    let folder = tempfile::tempdir().unwrap();
    for starts in 1..=2 {
        let service = Krt::run("context").data(folder.path()).start().await;
        assert_eq!(value(&service, "find_documents").await[4], json!(starts));
        service.stop().await;
    }
}

#[tokio::test]
async fn wrong_arguments_are_told_with_the_texts_of_krt_v1() {
    let service = Krt::run("context").start().await;
    let rows = [
        ("ctx.db.save('', {})", "[ctx.db.save] invalid 'collection'='', must be a nonempty string"),
        ("ctx.db.save(7, {})", "[ctx.db.save] invalid 'collection'='7', must be a nonempty string"),
        ("ctx.db.save(None, {})", "[ctx.db.save] invalid 'collection'='None', must be a nonempty string"),
        ("ctx.db.save('c', [1])", "[ctx.db.save] invalid 'data'='[1]', must be a dict"),
        (
            "ctx.db.save('c', {'a': {'b': {1}}})",
            "`a.b` is a `builtins.set`, which cannot be stored; hint: make it a list",
        ),
        ("ctx.db.find('', {'a': 1})", "[ctx.db.find] invalid 'collection'='', must be a nonempty string"),
        ("ctx.db.find('c', {})", "[ctx.db.find] invalid 'query'='{}', must be a nonempty dict"),
        ("ctx.db.find('c', None)", "[ctx.db.find] invalid 'query'='None', must be a nonempty dict"),
        ("ctx.db.find('c', 'text')", "[ctx.db.find] invalid 'query'='text', must be a nonempty dict"),
        (
            "ctx.prediction.save('', 'b')",
            "[ctx.prediction.save] invalid 'predicted_value'='', must be a nonempty string",
        ),
        (
            "ctx.prediction.save(3, 'b')",
            "[ctx.prediction.save] invalid 'predicted_value'='3', must be a nonempty string",
        ),
        (
            "ctx.prediction.save('a')",
            "[ctx.prediction.save] invalid 'true_value'='', must be a nonempty string",
        ),
        (
            "ctx.prediction.save(error='other')",
            "[ctx.prediction.save] invalid value for metric error other should be one of \
             'missing_values,new_labels'",
        ),
        (
            "ctx.prediction.save('a', 'b', utcdate=datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=2))))",
            "Input date must be a UTC datetime",
        ),
        (
            "ctx.prediction.save('a', 'b', utcdate='2024-01-01T00:00:00+02:00')",
            "Input date must be a UTC datetime",
        ),
    ];
    for (call, message) in rows {
        let answer = service.call("Alone", json!({ "act": "wrong", "text": call })).await;
        assert_status(answer, Code::Internal, &format!("error in 'first': {message}"));
    }
    let query = json!({ "act": "wrong", "text": "ctx.db.find('c', {'a': {'$nope': 1}})" });
    let status = service.call("Alone", query).await.unwrap_err();
    let start = "error in 'first': [ctx.db.find] error getting data from MongoDB: ";
    assert!(status.message().starts_with(start) && status.message().contains("$nope"), "{status}");
    let ended = service.stop().await;
    for collection in ["c", PREDICTIONS] {
        assert_eq!(saved(&ended, collection).await, [], "nothing was saved by a call that failed");
    }
}

#[tokio::test]
async fn predictions_are_documents_of_their_collection() {
    let service = Krt::run("context").start().await;
    service.call("Alone", json!({ "act": "predict" })).await.unwrap();
    let ended = service.stop().await;
    let mut predictions = saved(&ended, PREDICTIONS).await;
    for prediction in &mut predictions {
        prediction.remove("_id").expect("every document has an id");
    }
    let prediction = |date: &str, values: [&str; 2], error: &str, extra: Bson| {
        doc! {
            "date": date, "error": error, "predictedValue": values[0], "trueValue": values[1], "extra": extra,
            "versionId": "context-v1", "versionName": "context-v1",
        }
    };
    let score = Bson::Document(doc! { "score": 0.5 });
    assert_eq!(
        predictions,
        [
            prediction("2024-01-02T03:04:05.600000Z", ["cat", "dog"], "", score),
            prediction("2024-01-02T03:04:06.000000Z", ["a", "a"], "", Bson::Null),
            prediction("2024-01-02T03:04:07.000000Z", ["a", "b"], "", Bson::Null),
            prediction("2024-01-02T03:04:08.000000Z", ["", ""], "missing_values", Bson::Null),
            prediction("2024-01-02T03:04:09.000000Z", ["", ""], "new_labels", Bson::Null),
        ]
    );
}
