//! Plain data in, plain data out: nodes with `payload: json`.

use super::{Language, act};
use crate::support::assert_status;
use serde_json::{Value, json};
use tonic::Code;

pub(super) async fn plain_data_matches_the_json(language: &Language) {
    let service = language.start().await;
    let greeted = service.call("Plain", json!({ "act": "greet", "text": "Ada" })).await.unwrap();
    assert_eq!(greeted, json!({ "text": "Hello Ada!" }));
    let order =
        json!({ "act": "back", "text": "naïve ☃", "number": "9223372036854775807", "blob": "AAEC/w==" });
    let back = service.call("Plain", order).await.unwrap();
    let expected = json!({ "text": "naïve ☃", "process": "9223372036854775807", "blob": "AAEC/w==" });
    assert_eq!(back, expected, "nothing is lost on the way");
    let next = service.call("Plain", json!({ "act": "next", "number": "9007199254740993" })).await.unwrap();
    assert_eq!(next, json!({ "process": "9007199254740994" }), "whole numbers are numbers");
    service.stop().await;
}

pub(super) async fn plain_data_passes_from_node_to_node(language: &Language) {
    let service = language.start().await;
    let shown = service.call("PlainTwice", act("on")).await.unwrap();
    let shown: Value = serde_json::from_str(shown["text"].as_str().unwrap()).unwrap();
    let expected = json!({ "act": "show", "list": [1, { "deep": null }], "real": 0.5, "large": (1_u64 << 53) + 1, "text": "☃" });
    assert_eq!(shown, expected);
    let early = service.call("PlainTwice", act("reply")).await.unwrap();
    assert_eq!(early, json!({ "text": "early" }));
    service.stop().await;
}

pub(super) async fn plain_data_mismatches_name_their_field(language: &Language) {
    let service = language.start().await;
    let misfit = service.call("Plain", act("misfit")).await.unwrap_err();
    let start =
        "error in 'plain': what the handler returned does not fit: not a conformance.Answer: field `text`: ";
    assert!(misfit.code() == Code::Internal && misfit.message().starts_with(start), "{misfit}");
    let other = service.call("Plain", act("no such")).await;
    assert_status(other, Code::Internal, "error in 'plain': there is no act `no such`");
    service.stop().await;
}
