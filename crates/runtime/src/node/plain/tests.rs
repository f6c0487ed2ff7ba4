use super::*;
use crate::errors::chain;
use proptest::prelude::*;
use serde_json::json;

fn round_trip(value: &Value) -> Value {
    let payload = Plain::to_struct(value.to_string().as_bytes()).unwrap();
    let text = Plain::new(DescriptorPool::new()).to_json(&payload).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn what_does_not_fit_is_told_with_its_field() {
    for (value, expected) in [
        (json!({ "a": [1, { "b": 9_007_199_254_740_993_u64 }] }), "field `a[1].b`: 9007199254740993 is not"),
        (
            json!({ "low": -9_007_199_254_740_993_i64 }),
            "field `low`: -9007199254740993 is not exactly a double",
        ),
        (
            json!([1]),
            "what the handler returned for the next node must be a map of names to values, not a list",
        ),
        (json!("text"), "not a text"),
        (json!(null), "not null"),
    ] {
        let error = chain(&Plain::to_struct(value.to_string().as_bytes()).unwrap_err());
        assert!(error.contains(expected), "{value}: {error}");
    }
    let error = chain(&Plain::to_struct(b"{").unwrap_err());
    assert!(error.starts_with("what the handler returned is no JSON: EOF"), "{error}");
}

#[test]
fn what_came_must_be_known() {
    let plain = Plain::new(DescriptorPool::new());
    let error = plain.to_json(&Payload::pack("type.googleapis.com/shop.Basket", b"")).unwrap_err();
    assert!(error.to_string().starts_with("no `.proto` of the package describes the message `shop.Basket`"));
    let error =
        plain.to_json(&Payload::pack("type.googleapis.com/google.protobuf.Struct", b"\xff")).unwrap_err();
    assert!(error.to_string().starts_with("what came is not a google.protobuf.Struct"));
    let nan = StructValue { kind: Some(Kind::NumberValue(f64::NAN)) };
    let message = Struct { fields: [("n".to_owned(), nan)].into() }.encode_to_vec();
    let payload = Payload::pack("type.googleapis.com/google.protobuf.Struct", &message);
    assert_eq!(plain.to_json(&payload).unwrap_err().to_string(), "field `n`: JSON has no NaN");
}

#[test]
fn whole_numbers_stay_whole() {
    let value = json!({ "n": 5, "low": -3, "real": 0.5, "large": EXACT, "list": [1, [2.25]], "none": null });
    assert_eq!(round_trip(&value).to_string(), value.to_string());
}

proptest! {
    #[test]
    fn plain_data_arrives_as_it_left(texts: Vec<(String, String)>, numbers: Vec<i32>, real in -1e9..1e9) {
        let texts: Map<_, _> = texts.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
        let value = json!({ "texts": texts, "numbers": numbers, "real": real + 0.5 });
        let arrived = round_trip(&value);
        prop_assert_eq!(&arrived["texts"], &value["texts"]);
        prop_assert_eq!(&arrived["numbers"], &value["numbers"]);
        prop_assert_eq!(arrived["real"].as_f64(), value["real"].as_f64());
    }
}
