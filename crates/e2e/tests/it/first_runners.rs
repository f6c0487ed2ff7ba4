//! Nodes written for the first runners, which used JSON, run unchanged.

use crate::support::{Krt, assert_status};
use serde_json::json;
use tonic::Code;

#[tokio::test]
async fn old_names_and_json_handlers_work_with_one_warning() {
    let service = Krt::run("first-runners").start().await;
    for method in ["PyGreet", "GoGreet", "PyGreet", "GoGreet"] {
        let answer = service.call(method, json!({ "name": "Ada" })).await.unwrap();
        assert_eq!(answer, json!({ "greeting": "Hello Ada!" }), "{method}");
    }
    let records = service.stop().await.lines.records();
    let warned = |node: &str| {
        let of_node = records.iter().filter(|record| record.node.as_deref() == Some(node));
        let mut words: Vec<_> =
            of_node.filter(|record| record.level == "WARN").map(|record| record.message.clone()).collect();
        words.sort();
        words
    };
    let old = |old: &str, new: &str| format!("`ctx.{old}` is an old name; hint: use `ctx.{new}`");
    assert_eq!(
        warned("py-greeter"),
        [
            old("get_value", "get"),
            "`ctx.prediction.save(date=…)` is an old name; hint: use `utcdate=…`".to_owned(),
            old("save_metric", "prediction.save"),
            old("set_value", "set"),
        ]
    );
    assert_eq!(
        warned("go-greeter"),
        [
            old("GetValue", "Get"),
            old("SaveMetricError", "Prediction.SaveError"),
            old("SaveMetric", "Prediction.Save"),
            old("SetValue", "Set"),
        ]
    );
}

#[tokio::test]
async fn a_missing_payload_setting_has_a_hint() {
    let service = Krt::run("first-runners").start().await;
    let words = "error in 'forgotten': 'Any' object is not subscriptable; hint: `data` is a \
                 `google.protobuf.Any`; to work with plain data, add `payload: json` to node `forgotten` in \
                 krt.yml, else unpack a message from it: `data.Unpack(request)`";
    assert_status(service.call("Forgotten", json!({ "name": "Ada" })).await, Code::Internal, words);
    service.stop().await;
}
