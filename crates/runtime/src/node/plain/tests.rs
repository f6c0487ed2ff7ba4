use super::*;
use crate::memory::Pool;
use krt_model::hint;
use proptest::prelude::*;
use prost_reflect::prost::Message as _;
use prost_types::{Struct, Value as StructValue, value::Kind};
use serde_json::{Map, Value, json};

fn on(text: &str) -> String {
    let payload = Plain::to_struct(text.as_bytes(), Bounds::none()).unwrap();
    let text = Plain::new(DescriptorPool::new()).to_json(&payload, Pool::unlimited().reserve()).unwrap();
    String::from_utf8(text.to_vec()).unwrap()
}

#[test]
fn mismatches_name_their_field() {
    let map = "what the handler returned for the next node must be a map of names to values, not";
    for (text, expected) in [
        ("[1]", format!("{map} a list")),
        (" \"text\"", format!("{map} a text")),
        ("null", format!("{map} null")),
        ("true", format!("{map} a boolean")),
        ("-1", format!("{map} a number")),
        (r#"{"a": [1, {"b": 1e400}]}"#, "field `a[1].b`: 1e400 does not fit in a double".to_owned()),
        (r#"{"a": {"b": 1, "b": 2}}"#, "field `a`: `b` is there twice".to_owned()),
        ("{", "EOF within an object".to_owned()),
    ] {
        let error = hint::messages(&Plain::to_struct(text.as_bytes(), Bounds::none()).unwrap_err());
        assert!(error.contains(&expected), "{text}: {error}");
    }
}

#[test]
fn unknown_messages_are_refused() {
    let plain = Plain::new(DescriptorPool::new());
    let error = plain
        .to_json(&Payload::pack("type.googleapis.com/shop.Basket", b""), Pool::unlimited().reserve())
        .unwrap_err();
    assert!(error.to_string().starts_with("no `.proto` of the package describes the message `shop.Basket`"));
    let broken = Payload::pack("type.googleapis.com/google.protobuf.Struct", b"\xff");
    let error = hint::messages(&plain.to_json(&broken, Pool::unlimited().reserve()).unwrap_err());
    assert!(error.starts_with("the input is not plain data: not a google.protobuf.Struct: "), "{error}");
    let nan = StructValue { kind: Some(Kind::NumberValue(f64::NAN)) };
    let message = Struct { fields: [("n".to_owned(), nan)].into() }.encode_to_vec();
    let payload = Payload::pack("type.googleapis.com/google.protobuf.Struct", &message);
    let error = hint::messages(&plain.to_json(&payload, Pool::unlimited().reserve()).unwrap_err());
    assert!(error.ends_with("field `n`: JSON has no NaN"), "{error}");
}

#[test]
fn numbers_between_nodes_keep_their_digits_and_their_kind() {
    for number in [
        "5",
        "-3",
        "0",
        "2.0",
        "0.0",
        "-0.0",
        "0.5",
        "1e3",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "9223372036854775807",
        "18446744073709551615",
        "170141183460469231731687303715884105727",
        "9007199254740992.0",
        "1e+300",
        "1e+20",
        "5e-324",
    ] {
        let text = format!(r#"{{"deep":[{{"n":{number}}}],"n":{number}}}"#);
        assert_eq!(on(&text), text);
    }
}

#[test]
fn a_dict_keeps_its_order() {
    let text = r#"{"z":1,"a":{"y":null,"b":[]},"m":""}"#;
    assert_eq!(on(text), text);
}

#[test]
fn a_node_with_protobuf_gets_a_struct_and_may_change_it() {
    let payload = Plain::to_struct(br#"{"large": 9007199254740993, "real": 2.0}"#, Bounds::none()).unwrap();
    let mut fields = Struct::decode(payload.value().clone()).unwrap();
    let double = |number| Some(Kind::NumberValue(number));
    assert_eq!(fields.fields["large"].kind, double(9_007_199_254_740_992.0));
    assert_eq!(fields.fields["real"].kind, double(2.0));
    fields.fields.get_mut("large").unwrap().kind = double(7.0);
    let changed = fields.encode_to_vec();
    // prost drops unknown fields; other libraries keep them, beside a number that has changed.
    let keeping = |exact: &str| {
        let mut value = vec![2 << 3 | 1];
        value.extend(7.0_f64.to_le_bytes());
        value.extend([0xc2, 0x3e, exact.len() as u8]);
        value.extend(exact.as_bytes());
        let entry = [&[0x0a, 1, b'n', 0x12, value.len() as u8], &value[..]].concat();
        [&[0x0a, entry.len() as u8], &entry[..]].concat()
    };
    for (message, expected) in [
        (changed, r#""large":7"#),
        (keeping("9007199254740993"), r#"{"n":7}"#),
        (keeping("7.0"), r#"{"n":7.0}"#),
        (keeping("7 "), r#"{"n":7}"#),
        (keeping("+7"), r#"{"n":7}"#),
        (keeping(""), r#"{"n":7}"#),
    ] {
        let payload = Payload::pack("type.googleapis.com/google.protobuf.Struct", &message);
        let text = Plain::new(DescriptorPool::new()).to_json(&payload, Pool::unlimited().reserve()).unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn plain_data_has_the_depth_limit_of_its_workers() {
    let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    assert_eq!(on(&nested(100)), nested(100));
    let error = hint::messages(&Plain::to_struct(nested(102).as_bytes(), Bounds::none()).unwrap_err());
    assert!(error.contains("nested more than 100 levels deep"), "{error}");
}

proptest! {
    #[test]
    fn plain_data_round_trips(
        texts: Vec<(String, String)>,
        whole: Vec<i64>,
        large: Vec<u64>,
        reals in proptest::collection::vec(proptest::num::f64::NORMAL | proptest::num::f64::ZERO, 0..5),
    ) {
        let texts: Map<_, _> = texts.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
        let value = json!({ "texts": texts, "whole": whole, "large": large, "reals": reals });
        let arrived: Value = serde_json::from_str(&on(&value.to_string())).unwrap();
        prop_assert_eq!(&arrived["texts"], &value["texts"]);
        prop_assert_eq!(&arrived["whole"], &value["whole"]);
        prop_assert_eq!(&arrived["large"], &value["large"]);
        prop_assert_eq!(arrived["reals"].to_string(), value["reals"].to_string());
    }
}
