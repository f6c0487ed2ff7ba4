//! Nodes with `payload: json`: plain data in, plain data out.

use crate::support::Krt;
use serde_json::{Value, json};
use tonic::Code;

fn act(act: &str) -> Value {
    json!({ "act": act, "name": "Ada" })
}

fn text(answer: &Value) -> Value {
    serde_json::from_str(answer["text"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn dicts_in_and_out() {
    let service = Krt::run("plain").start().await;
    assert_eq!(service.call("Alone", act("greet")).await.unwrap(), json!({ "text": "Hello Ada!" }));

    let order = json!({ "act": "back", "large": "9223372036854775807", "data": "AAEC/w==",
                        "items": [{ "name": "pen", "price": 1.5 }, { "name": "ink" }] });
    let mut expected = order.clone();
    expected.as_object_mut().unwrap().remove("act");
    expected["text"] = json!("act,data,items,large");
    assert_eq!(service.call("Alone", order).await.unwrap(), expected, "nothing is lost on the way");
    service.stop().await;
}

#[tokio::test]
async fn between_nodes() {
    let service = Krt::run("plain").start().await;
    let answer = service.call("Two", act("numbers")).await.unwrap();
    let sent = json!({ "whole": 5, "real": 0.5, "list": [1, { "deep": null }], "text": "☃" });
    assert_eq!(text(&answer), sent, "whole numbers stay whole");
    let answer = service.call("ToTyped", act("numbers")).await.unwrap();
    assert_eq!(answer, json!({ "text": "☃ 5.0" }), "a node with protobuf gets a Struct");
    let answer = service.call("FromTyped", act("any")).await.unwrap();
    assert_eq!(text(&answer), json!({ "act": "any", "name": "Ada" }), "a message comes as proto3 JSON");
    service.stop().await;
}

#[tokio::test]
async fn early_answers() {
    let service = Krt::run("plain").start().await;
    assert_eq!(service.call("Two", act("reply")).await.unwrap(), json!({ "text": "early" }));
    assert_eq!(service.call("Two", act("leave")).await.unwrap(), json!({ "text": "out" }));
    service.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_an_error_that_names_the_field() {
    let service = Krt::run("plain").start().await;
    for (method, what, expected) in [
        (
            "Alone",
            "misfit",
            "error in 'plain': what the handler returned does not fit: not a plain.Answer: field `items[1].price`: ",
        ),
        ("Alone", "unknown", "unrecognized field name 'greeting'"),
        ("Alone", "no_data", "error in 'plain': field `text` is a `builtins.set`, not plain data"),
        ("Alone", "no_map", "error in 'plain': what the handler returned does not fit: not a plain.Answer: "),
        ("Two", "no_map", "error in 'plain': what the handler returned for the next node must be a map"),
        (
            "Two",
            "reply_misfit",
            "error in 'plain': what the handler returned does not fit: not a plain.Answer: field `text`: ",
        ),
        ("Two", "too_exact", "field `deep[0].number`: 9007199254740993 is not exactly a double"),
        (
            "FromTyped",
            "foreign",
            "error in 'last': no `.proto` of the package describes the message `google.protobuf.Duration`",
        ),
    ] {
        let status = service.call(method, act(what)).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{what}");
        assert!(status.message().contains(expected), "{what}: {status}");
    }
    assert_eq!(service.call("Alone", act("greet")).await.unwrap(), json!({ "text": "Hello Ada!" }));
    service.stop().await;
}
