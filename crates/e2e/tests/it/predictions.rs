//! `ctx.prediction` (docs/reference/krt-v1.md#predictions).

use crate::{
    documents::saved,
    script::{raised, send, value},
    support::{Krt, assert_status, krt::packages, team::dashboard},
};
use bson::{Bson, Document, doc};
use http::{Method, StatusCode};
use krt_api::{
    prediction::{PredictionPage, PredictionSummary},
    request::RequestDetail,
};
use krt_servers::MongoServer;
use krt_store::{PREDICTIONS, UPDATES};
use serde_json::json;
use tonic::Code;

/// A stored prediction without its `_id`.
fn prediction(version: &str, date: &str, values: [&str; 2], error: &str, extra: Bson) -> Document {
    doc! {
        "date": date, "error": error, "predictedValue": values[0], "trueValue": values[1], "extra": extra,
        "versionId": version, "versionName": version,
    }
}

/// Without the ids of the documents and of their requests, if they have one.
fn without_ids(mut predictions: Vec<Document>) -> Vec<Document> {
    for prediction in &mut predictions {
        prediction.remove("_id").expect("every document has an id");
        prediction.remove("requestId");
    }
    predictions
}

#[tokio::test]
async fn predictions_are_documents_of_their_collection() {
    let service = Krt::run("context").start().await;
    service.call("Alone", json!({ "act": "predict" })).await.unwrap();
    let ended = service.stop().await;
    let prediction = |date, values, error, extra| prediction("context-v1", date, values, error, extra);
    let score = Bson::Document(doc! { "score": 0.5 });
    assert_eq!(
        without_ids(saved(&ended, PREDICTIONS).await),
        [
            prediction("2024-01-02T03:04:05.600000Z", ["cat", "dog"], "", score),
            prediction("2024-01-02T03:04:06.000000Z", ["a", "a"], "", Bson::Null),
            prediction("2024-01-02T03:04:07.000000Z", ["a", "b"], "", Bson::Null),
            prediction("2024-01-02T03:04:08.000000Z", ["", ""], "missing_values", Bson::Null),
            prediction("2024-01-02T03:04:09.000000Z", ["", ""], "new_labels", Bson::Null),
        ]
    );
}

#[tokio::test]
async fn every_time_format_in_utc() {
    let init = "await ctx.prediction.save('in', 'init', utcdate='2024-01-01')";
    let service = Krt::run("script").env("SCRIPT_INIT", init).start().await;
    let code = "
        save = ctx.prediction.save
        dates = ['2024-01-02T03:04:05', '2024-01-02 03:04:05.5', '2024-01-02T03:04:05.123456789Z',
                 '2024-01-02T03:04:05+00:00', '2024-01-02T03:04:05-00:00',
                 datetime(2024, 1, 2, 3, 4, 5), datetime(2024, 1, 2, 3, 4, 5, 7, timezone(timedelta(0), 'GMT'))]
        for date in dates:
            await save('a', 'b', utcdate=date)
        await save('kept', '', error=ctx.prediction.ERR_NEW_LABELS, extra={}, utcdate=dates[0])
        return [ctx.prediction.ERR_MISSING_VALUES, ctx.prediction.ERR_NEW_LABELS]
    ";
    assert_eq!(value(&service, code).await, json!(["missing_values", "new_labels"]));
    let now = "
        before = datetime.now(timezone.utc)
        await ctx.prediction.save('now', 'now')
        [found] = await ctx.db.find('classificationMetrics', {'predictedValue': 'now'})
        date = datetime.strptime(found['date'], '%Y-%m-%dT%H:%M:%S.%fZ').replace(tzinfo=timezone.utc)
        return [before <= date <= datetime.now(timezone.utc), len(found['date'])]
    ";
    assert_eq!(value(&service, now).await, json!([true, 27]));

    let ended = service.stop().await;
    let mut predictions = without_ids(saved(&ended, PREDICTIONS).await);
    predictions.pop();
    let of_the_other_node = predictions.remove(0);
    assert_eq!(of_the_other_node, predictions[0]);
    let plain = |second: &str| {
        prediction("script-v1", &format!("2024-01-02T03:04:{second}Z"), ["a", "b"], "", Bson::Null)
    };
    let kept = Bson::Document(doc! {});
    assert_eq!(
        predictions,
        [
            prediction("script-v1", "2024-01-01T00:00:00.000000Z", ["in", "init"], "", Bson::Null),
            plain("05.000000"),
            plain("05.500000"),
            plain("05.123456"),
            plain("05.000000"),
            plain("05.000000"),
            plain("05.000000"),
            plain("05.000007"),
            prediction("script-v1", "2024-01-02T03:04:05.000000Z", ["kept", ""], "new_labels", kept),
        ]
    );
}

#[tokio::test]
async fn predictions_name_their_request() {
    let init = "await ctx.prediction.save('in', 'init')";
    let service = Krt::run("script").env("SCRIPT_INIT", init).start().await;
    let id = value(&service, "await ctx.prediction.save('a', 'b')\nreturn ctx.request_id").await;
    let ended = service.stop().await;
    let predictions = saved(&ended, PREDICTIONS).await;
    let [.., in_init, in_handler] = &predictions[..] else { panic!("{predictions:?}") };
    assert!(!in_init.contains_key("requestId"), "there is no request in `init`");
    assert_eq!(in_handler.get_str("requestId").ok(), id.as_str());
}

/// Updates predictions of earlier requests, and reads the dashboard's API.
async fn update_predictions(krt: Krt) {
    let service = krt.start().await;
    let http = dashboard(&service).await;
    let get = async |path: &str| {
        http.send(Method::GET, &format!("/api/v1/runtimes/script-v1{path}"), &[], "").await
    };
    let summary = async || get("/predictions/summary").await.read::<PredictionSummary>(StatusCode::OK);
    let predict = async |call: &str| {
        let id = value(&service, &format!("await ctx.prediction.{call}\nreturn ctx.request_id")).await;
        id.as_str().unwrap().to_owned()
    };
    let pending = predict("save_pending('cat', {'score': 0.5})").await;
    let known = predict("save('cat', 'cat')").await;
    let before = summary().await;
    assert_eq!((before.predictions, before.correct, before.pending), (1, 1, 1));
    assert_eq!(before.unmatched_updates, 0);

    for (id, truth) in [(&*pending, "dog"), (&*pending, "cat"), (&*known, "dog"), ("unknown", "cat")] {
        value(&service, &format!("await ctx.prediction.update('{id}', '{truth}')\nreturn 0")).await;
    }
    let after = summary().await;
    assert_eq!((after.predictions, after.correct, after.pending), (2, 1, 0));
    assert_eq!(after.unmatched_updates, 1);
    assert_eq!(
        (after.confusion.labels, after.confusion.counts),
        (vec!["cat".into(), "dog".into()], vec![vec![1, 0], vec![1, 0]])
    );
    let none =
        get("/predictions/summary?to=2020-01-01T00:00:00Z").await.read::<PredictionSummary>(StatusCode::OK);
    assert_eq!(
        (none.predictions, none.unmatched_updates),
        (0, 1),
        "predictions outside of the span match, too"
    );

    for (truth, id) in [("cat", &pending), ("dog", &known)] {
        let page: PredictionPage =
            get(&format!("/predictions?true_value={truth}")).await.read(StatusCode::OK);
        let [prediction] = &page.predictions[..] else { panic!("{truth}: {page:?}") };
        assert_eq!((&*prediction.true_value, prediction.request.as_ref()), (truth, Some(id)));
        assert!(prediction.updated.is_some());
    }
    let detail: RequestDetail = get(&format!("/requests/{known}")).await.read(StatusCode::OK);
    assert_eq!(detail.predictions[0].true_value, "dog");
    service.stop().await;
}

#[tokio::test]
async fn true_values_that_come_later_count() {
    update_predictions(Krt::run_with_dashboard(&packages().join("script"))).await;
}

#[tokio::test]
async fn true_values_that_come_later_count_in_mongodb() {
    let Some(server) = MongoServer::start("true_values_that_come_later_count_in_mongodb") else { return };
    update_predictions(Krt::run_with_dashboard(&packages().join("script")).flag("--mongo", &server.url))
        .await;
}

#[tokio::test]
async fn wrong_arguments_of_updates_are_reported() {
    let service = crate::script::start().await;
    let rows = [
        ("save_pending('')", "save_pending", "predicted_value", ""),
        ("save_pending(3)", "save_pending", "predicted_value", "3"),
        ("update('', 'a')", "update", "request_id", ""),
        ("update(None, 'a')", "update", "request_id", "None"),
        ("update('r-1', '')", "update", "true_value", ""),
        ("update('r-1', 1)", "update", "true_value", "1"),
    ];
    for (call, method, argument, shown) in rows {
        let (_, text) = raised(&service, &format!("ctx.prediction.{call}")).await;
        let expected =
            format!("[ctx.prediction.{method}] invalid '{argument}'='{shown}', must be a nonempty string");
        assert_eq!(text, expected, "{call}");
    }
    let ended = service.stop().await;
    assert_eq!((saved(&ended, PREDICTIONS).await, saved(&ended, UPDATES).await), (vec![], vec![]));
}

#[tokio::test]
async fn wrong_arguments_have_the_messages_of_krt_v1() {
    let service = crate::script::start().await;
    let value = |argument: &str, shown: &str| {
        format!("[ctx.prediction.save] invalid '{argument}'='{shown}', must be a nonempty string")
    };
    let error = |shown: &str| {
        format!(
            "[ctx.prediction.save] invalid value for metric error {shown} should be one of \
             'missing_values,new_labels'"
        )
    };
    let utc = "Input date must be a UTC datetime";
    let rows = [
        ("", value("predicted_value", "")),
        ("'', ''", value("predicted_value", "")),
        ("'', 'b'", value("predicted_value", "")),
        ("None, 'b'", value("predicted_value", "None")),
        ("3, 'b'", value("predicted_value", "3")),
        ("b'a', 'b'", value("predicted_value", "b'a'")),
        ("'a'", value("true_value", "")),
        ("'a', 1.5", value("true_value", "1.5")),
        ("'a', ['b']", value("true_value", "['b']")),
        ("error='other'", error("other")),
        ("error='MISSING_VALUES'", error("MISSING_VALUES")),
        ("'a', 'b', error=None", error("None")),
        ("'a', 'b', error=[]", error("[]")),
        ("'a', 'b', utcdate=datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=2)))", utc.to_owned()),
        ("'a', 'b', utcdate='2024-01-01T00:00:00+02:00'", utc.to_owned()),
        ("'a', 'b', utcdate=datetime(2024, 1, 1).date()", format!("{utc}, not datetime.date(2024, 1, 1)")),
        ("'a', 'b', utcdate=0", format!("{utc}, not 0")),
        (
            "'a', 'b', utcdate='yesterday'",
            format!("{utc}: `yesterday` is no ISO 8601 date, such as 2024-01-31T12:00:00Z"),
        ),
        (
            "'a', 'b', extra={'of': [{'set': {1}}]}",
            "`extra.of[0].set` is a `builtins.set`, which cannot be stored; hint: make it a list".to_owned(),
        ),
        ("'a', 'b', extra={1: 2}", "a key in `extra` is 1, a `int`; hint: make it a text".to_owned()),
    ];
    for (arguments, expected) in rows {
        let (_, text) = raised(&service, &format!("ctx.prediction.save({arguments})")).await;
        assert_eq!(text, expected, "{arguments}");
    }
    let uncaught = send(&service, "One", &["await ctx.prediction.save('a')"]).await;
    assert_status(uncaught, Code::Internal, &format!("error in 'first': {}", value("true_value", "")));
    let ended = service.stop().await;
    assert_eq!(saved(&ended, PREDICTIONS).await, [], "nothing was saved by a call that failed");
}
