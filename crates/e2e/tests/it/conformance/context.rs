//! Every function of the context.

use super::{Language, act};
use crate::support::{Service, assert_status, krt::packages, service::Exited};
use bson::{Bson, Document, doc};
use futures::TryStreamExt as _;
use krt_store::{FindLimits, Order, PREDICTIONS, PointFilter, StoredPoint, UPDATES, Value};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tonic::{Code, Request, metadata::MetadataValue};

async fn text(service: &Service, act: &str) -> String {
    let answer = service.call("Alone", json!({ "act": act })).await.unwrap();
    answer["text"].as_str().unwrap_or_default().to_owned()
}

async fn value(service: &Service, act: &str) -> Json {
    serde_json::from_str(&text(service, act).await).unwrap()
}

async fn saved(ended: &Exited, collection: &str) -> Vec<Document> {
    let found = ended.reader().find(collection, &doc! {}, FindLimits::default()).unwrap();
    found.and_then(async |raw| Ok(Document::try_from(raw).unwrap())).try_collect().await.unwrap()
}

fn points(ended: &Exited, measurement: &str) -> Vec<StoredPoint> {
    let filter = PointFilter { measurement: measurement.to_owned(), ..PointFilter::default() };
    ended.reader().points(&filter, Order::OldestFirst, 1000).unwrap()
}

pub(super) async fn values_paths_and_environment_variables(language: &Language) {
    let service = language.start().await;
    let in_init = "[ctx.early_reply] there is no request in `init`; hint: call it in `handler`";
    assert_eq!(value(&service, "values").await, json!([41, "text", 0.5, in_init]));
    assert_eq!([text(&service, "calls").await, text(&service, "calls").await], ["1", "2"]);
    assert_eq!(text(&service, "missing").await, language.missing);
    let root = packages().join("conformance").join(language.name).canonicalize().unwrap();
    let root = root.to_str().unwrap();
    assert_eq!(value(&service, "path").await, json!([format!("{root}/models/a.bin"), root]));
    assert_eq!(text(&service, "stdin").await, "0", "the socket is not where users read");
    let own = [("KRT_NODE_PROTOCOL", ""), ("KRT_LIFELINE", "")];
    let own = own.into_iter().filter(|_| language.hides_variables);
    for (name, expected) in own.chain([("KRT_NODE_NAME", "worker")]) {
        let answer = service.call("Alone", json!({ "act": "environment", "text": name })).await.unwrap();
        assert_eq!(answer["text"].as_str().unwrap_or_default(), expected, "{name}");
    }
    service.stop().await;
}

pub(super) async fn messages_pass_from_node_to_node(language: &Language) {
    let service = language.start().await;
    let answer = service.call("Act", json!({ "act": "echo", "text": "on" })).await.unwrap();
    assert_eq!(answer, json!({ "text": "on", "trail": ["worker", "last"], "process": answer["process"] }));
    service.stop().await;
}

pub(super) async fn handlers_know_the_id_of_their_request(language: &Language) {
    let service = language.start().await;
    let mut ids = Vec::new();
    for rpc in ["Alone", "Crowd", "Crowd"] {
        ids.push(service.call(rpc, act("request")).await.unwrap()["text"].as_str().unwrap().to_owned());
    }
    let records = service.stop().await.lines.records();
    let asked = records.iter().filter(|record| record.message == "asked for the request");
    let of_records: Vec<_> = asked.map(|record| record.request.clone().unwrap()).collect();
    assert_eq!(ids, of_records);
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
}

pub(super) async fn handlers_know_their_deadline(language: &Language) {
    let service = language.start().await;
    let seconds = |answer: Json| -> f64 {
        let [left] = serde_json::from_str(answer["text"].as_str().unwrap()).unwrap();
        left
    };
    for rpc in ["Alone", "Crowd"] {
        let by_default = seconds(service.call(rpc, act("deadline")).await.unwrap());
        assert!(0.0 < by_default && by_default <= 30.0, "{by_default}");
        let within = service.client().call_within(Duration::from_secs(20), rpc, act("deadline")).await;
        let of_client = seconds(within.unwrap());
        assert!(0.0 < of_client && of_client <= 20.0, "{of_client}");
    }
    service.call("Alone", json!({ "act": "deadline", "text": "reply" })).await.unwrap();
    let message = "after the reply: None";
    service.lines.wait("no deadline after a reply", |record| record.is("worker", message)).await;
    service.stop().await;
}

pub(super) async fn handlers_know_what_the_client_sent(language: &Language) {
    let service = language.start().await;
    let with = |entries: &[(&'static str, &str)]| {
        let mut request = Request::new(act("metadata"));
        for (name, value) in entries {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        request
    };
    let sent = async |rpc: &str, mut request: Request<Json>| {
        request.metadata_mut().append_bin("x-key-bin", MetadataValue::from_bytes(b"\x00\xff"));
        let answer = service.client().call_by(rpc, request).await.unwrap();
        serde_json::from_str::<Json>(answer["text"].as_str().unwrap()).unwrap()
    };
    let entries = [("x-tenant", "acme"), ("x-other", "unlisted"), ("x-tenant", "\"b\"")];
    for rpc in ["Alone", "Crowd"] {
        assert_eq!(sent(rpc, with(&entries)).await, json!(["acme, \"b\"", ["00ff"], null]), "{rpc}");
    }
    assert_eq!(value(&service, "metadata").await, json!([null, [], null]));
    let large = "x".repeat(8 << 10);
    let refused = service.client().call_by("Alone", with(&[("x-tenant", &large)])).await;
    let message = "the headers for handlers have more than the limit of 8192 bytes";
    assert_status(refused, Code::ResourceExhausted, message);
    service.stop().await;
}

pub(super) async fn early_replies_and_exits(language: &Language) {
    let service = language.krt().flag("--log-level", "debug").start().await;
    let early = service.call("Act", act("reply")).await.unwrap();
    assert_eq!(early, json!({ "text": "early" }));
    assert!(!service.scratch.path().join("last ran").exists(), "the handler of the first node still waits");
    service.scratch.put("go");
    service.scratch.wait("last ran").await;
    assert_eq!(service.call("Act", act("old_reply")).await.unwrap()["text"], "early, by its old name");
    assert_eq!(service.call("Act", act("reply_twice")).await.unwrap()["text"], "once");
    let error = service.scratch.read("second reply").await;
    assert_eq!(error, "error the message was replied previously");
    let exit = service.call("Act", act("exit")).await.unwrap();
    assert_eq!((&exit["text"], &exit["trail"]), (&json!("out"), &json!(["worker"])));
    assert_eq!(service.call("Act", act("reply_and_exit")).await.unwrap()["text"], "early");
    for (request, node, words) in [
        (json!({ "act": "reply_and_fail" }), "worker", "error in 'worker': after the answer"),
        (json!({ "act": "old_reply", "then": "fail" }), "last", "error in 'last': in the background"),
        (
            json!({ "act": "old_reply", "then": "reply" }),
            "last",
            "error in 'last': error the message was replied previously",
        ),
    ] {
        service.call("Act", request).await.unwrap();
        let message = format!("the workflow failed after its early reply: {words}");
        service.lines.wait("a failure in the background", |record| record.is(node, &message)).await;
    }
    service.call("Act", json!({ "act": "old_reply", "then": "none" })).await.unwrap();
    service.stop().await;
}

pub(super) async fn documents_are_found_as_they_were_saved(language: &Language) {
    let service = language.start().await;
    assert_eq!(value(&service, "save_document").await, json!([true]));
    assert_eq!(
        value(&service, "find_documents").await,
        json!([3, 3, 0, 5, 4]),
        "four nodes have this `init`"
    );
    let ended = service.stop().await;
    let things = saved(&ended, "things").await;
    let [thing] = &things[..] else { panic!("{things:?}") };
    assert_eq!(thing.get("large"), Some(&Bson::Int64((1 << 53) + 1)));
    assert_eq!(thing.get("real"), Some(&Bson::Double(7.0)));
    assert_eq!(thing.get_datetime("date").unwrap().timestamp_millis(), 1_709_209_815_250);
    assert_eq!(thing.get_binary_generic("bytes").unwrap(), b"\x00\xff");
    assert_eq!(thing.get("nothing"), Some(&Bson::Null));
}

pub(super) async fn wrong_arguments_are_reported(language: &Language) {
    let service = language.start().await;
    let rows = [
        ("save without collection", "[ctx.db.save] invalid 'collection'='', must be a nonempty string"),
        ("find without collection", "[ctx.db.find] invalid 'collection'='', must be a nonempty string"),
    ];
    for (call, message) in rows.iter().chain(language.wrong) {
        let answer = service.call("Alone", json!({ "act": "wrong", "text": call })).await;
        assert_status(answer, Code::Internal, &format!("error in 'worker': {message}"));
    }
    let nonsense = service.call("Alone", json!({ "act": "wrong", "text": "find by nonsense" })).await;
    let message = nonsense.unwrap_err().message().to_owned();
    let start = "error in 'worker': [ctx.db.find] error getting data from MongoDB: ";
    assert!(message.starts_with(start) && message.contains("$nope"), "{message}");
    service.stop().await;
}

pub(super) async fn measurements_keep_their_types_and_never_fail(language: &Language) {
    let service = language.start().await;
    service.call("Alone", act("measure")).await.unwrap();
    let ended = service.stop().await;
    let kinds = points(&ended, "kinds");
    let [kind] = &kinds[..] else { panic!("{kinds:?}") };
    let fields: Vec<_> = kind.fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(
        fields,
        [
            ("one", Value::Float(1.0)),
            ("real", Value::Float(1.5)),
            ("text", Value::Text("a".into())),
            ("whole", Value::Int(1)),
            ("yes", Value::Bool(true)),
        ]
    );
    let own = [("node", "worker"), ("version", "conformance-v1"), ("workflow", "alone")];
    for (name, value) in own {
        assert_eq!(kind.tags[name], value);
        assert_eq!(points(&ended, "own tags")[0].tags[name], value, "it cannot be given");
    }
    assert_eq!(points(&ended, "partly")[0].fields.keys().collect::<Vec<_>>(), ["good"]);
    let start = "[ctx.measurement.save] measurement ";
    let records = ended.lines.records().into_iter();
    let warnings = records.filter_map(|record| Some(record.message.strip_prefix(start)?.to_owned()));
    let expected = language.left_out.iter().map(|words| format!("`partly`: {words}"));
    let nameless = "``: it is not saved: its name must be a nonempty text".to_owned();
    assert_eq!(warnings.collect::<Vec<_>>(), expected.chain([nameless]).collect::<Vec<_>>());
}

pub(super) async fn predictions_are_documents_of_their_collection(language: &Language) {
    let service = language.start().await;
    service.call("Alone", act("predict")).await.unwrap();
    service.call("Alone", json!({ "act": "update", "text": "an earlier one" })).await.unwrap();
    let ended = service.stop().await;
    let predictions = saved(&ended, PREDICTIONS).await;
    let errors: Vec<_> = predictions.iter().map(|document| document.get_str("error").unwrap()).collect();
    assert_eq!(errors, ["", "missing_values", "new_labels", ""]);
    let request = predictions[0].get_str("requestId").unwrap();
    assert!(!request.is_empty(), "{predictions:?}");
    for (index, truth) in [(0, "dog"), (3, "")] {
        let mut prediction = predictions[index].clone();
        prediction.remove("_id").unwrap();
        let expected = doc! {
            "date": "2024-02-29T12:30:15.250000Z", "error": "", "predictedValue": "cat", "trueValue": truth,
            "extra": Bson::Null, "versionId": "conformance-v1", "versionName": "conformance-v1",
            "requestId": request,
        };
        assert_eq!(prediction, expected);
    }
    let mut updates = saved(&ended, UPDATES).await;
    let date = updates[0].remove("date").unwrap();
    assert_eq!(date.as_str().map(str::len), Some("2024-02-29T12:30:15.250000Z".len()), "{date}");
    updates[0].remove("_id").unwrap();
    assert_eq!(updates, [doc! { "requestId": "an earlier one", "trueValue": "dog" }]);
    let records = ended.lines.records();
    for message in [
        "[ctx.prediction.save] invalid 'predicted_value'='', must be a nonempty string",
        "[ctx.prediction.save] invalid value for metric error other should be one of 'missing_values,new_labels'",
    ] {
        assert!(
            records.iter().any(|record| record.is("worker", message) && record.level == "ERROR"),
            "{message}"
        );
    }
}

pub(super) async fn records_name_their_node_and_request(language: &Language) {
    let service = language.krt().flag("--log-level", "debug").start().await;
    service.call("Alone", act("speak")).await.unwrap();
    let ended = service.stop().await;
    assert_eq!(ended.lines.plain(), "", "every line is a record");
    let records = ended.lines.records();
    for (level, message) in [
        ("DEBUG", "a debug record"),
        ("INFO", "an info record"),
        ("WARN", "a warning"),
        ("ERROR", "an error record: 7"),
    ] {
        let record = records.iter().find(|record| record.is("worker", message)).unwrap();
        assert_eq!((&*record.level, record.workflow.as_deref()), (level, Some("alone")), "{message}");
        assert!(record.request.is_some(), "{message}");
    }
    assert!(records.iter().any(|record| record.is("worker", "a printed line")));
}
