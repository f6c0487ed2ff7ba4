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
    expected["text"] = json!("act,data,items,large,name,room_type");
    assert_eq!(service.call("Alone", order).await.unwrap(), expected, "nothing is lost on the way");
    service.stop().await;
}

#[tokio::test]
async fn a_dict_has_the_names_of_the_proto_whole_numbers_and_defaults() {
    let service = Krt::run("plain").start().await;
    let order = json!({ "act": "names", "roomType": "double", "large": "9007199254740993" });
    let answer = service.call("Alone", order).await.unwrap();
    let expected = json!({ "act": "names", "name": "", "large": 9_007_199_254_740_993_i64, "data": "", "items": [],
                           "room_type": "double", "more": 9_007_199_254_740_994_i64 });
    assert_eq!((text(&answer), &answer["roomType"]), (expected, &json!("double")));
    let order = json!({ "act": "other_names", "room_type": "single", "floor": 0 });
    assert_eq!(service.call("Alone", order).await.unwrap(), json!({ "roomType": "single" }));
    service.stop().await;
}

#[tokio::test]
async fn between_nodes() {
    let service = Krt::run("plain").start().await;
    let answer = service.call("Two", act("numbers")).await.unwrap();
    let sent = r#"{"float": 2.0, "large": 9223372036854775807, "list": [9007199254740993, {"deep": null}], "real": 0.5, "text": "☃", "whole": 5}"#;
    assert_eq!(answer["text"], sent, "numbers keep their digits and their kind");
    let answer = service.call("ToTyped", act("numbers")).await.unwrap();
    assert_eq!(answer, json!({ "text": "☃ 5.0" }), "a node with protobuf gets a Struct");
    let answer = service.call("FromTyped", act("any")).await.unwrap();
    let message =
        json!({ "act": "any", "name": "Ada", "large": 0, "data": "", "items": [], "room_type": "" });
    assert_eq!(text(&answer), message, "a message comes as a dict of its fields");
    service.stop().await;
}

#[tokio::test]
async fn early_replies() {
    let service = Krt::run("plain").start().await;
    assert_eq!(service.call("Two", act("reply")).await.unwrap(), json!({ "text": "early" }));
    assert_eq!(service.call("Two", act("leave")).await.unwrap(), json!({ "text": "out" }));
    service.stop().await;
}

#[tokio::test]
async fn mismatches_name_their_field() {
    let service = Krt::run("plain").start().await;
    for (method, what, expected) in [
        (
            "Alone",
            "misfit",
            "error in 'plain': what the handler returned does not fit: not a plain.Answer: field `items[1].price`: ",
        ),
        ("Alone", "unknown", "plain.Answer has no field `greeting`"),
        ("Alone", "no_data", "error in 'plain': field `text` is a `builtins.set`, not plain data"),
        ("Alone", "no_map", "error in 'plain': what the handler returned does not fit: not a plain.Answer: "),
        ("Two", "no_map", "error in 'plain': what the handler returned for the next node must be a map"),
        (
            "Two",
            "reply_misfit",
            "error in 'plain': what the handler returned does not fit: not a plain.Answer: field `text`: ",
        ),
        ("Two", "too_large", "field `deep[0].number`: 1000"),
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
