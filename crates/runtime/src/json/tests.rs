use super::*;
use krt_model::hint;
use prost_reflect::DescriptorPool;

const PROTO: &str = r#"
syntax = "proto3";
package shop;
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Colour { RED = 0; BLUE = 1; }
message Basket {
    repeated Item items = 1; Item gift = 2; map<string, int32> counts = 3; map<int32, Item> by_id = 4;
    google.protobuf.Any any = 5; google.protobuf.Timestamp bought_at = 6;
    oneof payment { string card = 7; int64 cash_paid = 8; }
    repeated google.protobuf.Int64Value totals = 9; repeated int32 sizes = 10;
}
message Item { string name = 1; int32 price = 2; bytes picture = 3; Colour colour = 4; float weight = 5; optional bool sold = 6; }
"#;

fn basket() -> MessageDescriptor {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.proto"), PROTO).unwrap();
    let files = protox::compile(["shop.proto"], [folder.path()]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap().get_message_by_name("shop.Basket").unwrap()
}

/// As in any message, a `Value` whose list or object comes in parts has all of them.
#[test]
fn parts_of_a_value_are_joined() {
    let length_delimited =
        |field: u8, content: &[u8]| [&[field << 3 | 2, content.len() as u8], content].concat();
    let text = |text: &str| length_delimited(3, text.as_bytes());
    let list = |items: &[&str]| {
        let items: Vec<u8> = items.iter().flat_map(|item| length_delimited(1, &text(item))).collect();
        length_delimited(6, &items)
    };
    let member = |value: Vec<u8>| {
        length_delimited(1, &[length_delimited(1, b"a"), length_delimited(2, &value)].concat())
    };
    for (parts, expected) in [
        (vec![list(&["1"]), list(&["2", "3"])], r#"{"a":["1","2","3"]}"#),
        (vec![list(&["1"]), list(&[])], r#"{"a":["1"]}"#),
        (vec![list(&["1"]), text("2"), list(&["3"])], r#"{"a":["3"]}"#),
        (vec![length_delimited(5, &member(text("1"))), length_delimited(5, &[])], r#"{"a":{"a":"1"}}"#),
        (vec![list(&["1"]), text("2")], r#"{"a":"2"}"#),
    ] {
        let written = write_struct(&member(parts.concat()), Format::PLAIN, Bounds::none()).unwrap();
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }
}

#[test]
fn mismatches_name_their_field() {
    let kind = basket();
    for (text, expected) in [
        (r#"{"gift": {"price": "dear"}}"#, "field `gift.price`: expected a whole number, found \"dear\""),
        (r#"{"gift": {"price": 1.5}}"#, "field `gift.price`: expected a whole number, found 1.5"),
        (r#"{"gift": {"price": 2147483648}}"#, "field `gift.price`: 2147483648 does not fit in an int32"),
        (r#"{"gift": {"weight": 1e39}}"#, "field `gift.weight`: 1e39 does not fit in a float"),
        (r#"{"gift": {"colour": "GREEN"}}"#, "field `gift.colour`: shop.Colour has no value \"GREEN\""),
        (r#"{"items": [{}, {"name": 5}]}"#, "field `items[1].name`: expected a text, found 5"),
        (r#"{"items": [{}, null]}"#, "field `items[1]`: null is not allowed in a list or a map"),
        (r#"{"items": {}}"#, "field `items`: expected a list, found {}"),
        (r#"{"counts": {"a": []}}"#, "field `counts.a`: expected a whole number, found []"),
        (r#"{"byId": {"x": {}}}"#, "field `byId.x`: expected a whole number, found the key `x`"),
        (r#"{"byId": {"1": {}, "01": {}}}"#, "field `byId`: `01` is there twice"),
        (r#"{"gift": {"picture": "*"}}"#, "field `gift.picture`: expected bytes in Base64, found \"*\""),
        (r#"{"gift": {"shade": "red"}}"#, "field `gift`: shop.Item has no field `shade`"),
        (r#"{"gift": {}, "gift": {}}"#, "`gift` is there twice"),
        (r#"{"boughtAt": null, "bought_at": null}"#, "`bought_at` is there twice"),
        (
            r#"{"card": "", "cashPaid": 1}"#,
            "`card` and `cashPaid` belong to the same oneof: send only one of them",
        ),
        (
            r#"{"boughtAt": "now"}"#,
            "field `boughtAt`: expected a time such as \"2024-01-31T12:00:00Z\", found \"now\"",
        ),
        (r#"{"any": {"name": "x"}}"#, "field `any`: an Any needs `@type`"),
        (r#"{"any": {"@type": "x/shop.None"}}"#, "field `any`: no `.proto` has the type of `x/shop.None`"),
        (
            r#"{"any": {"@type": "x/shop.Item", "price": true}}"#,
            "field `any.price`: expected a whole number, found true",
        ),
        ("[1]", "expected an object, found [1]"),
        ("{} {}", "trailing characters at line 1 column 4"),
        ("{", "EOF within an object or a list at line 1 column 2"),
    ] {
        let error = hint::messages(&parse(&kind, text.as_bytes(), Bounds::none()).unwrap_err());
        let (start, place) = error.rsplit_once(" at line 1 column ").unwrap();
        let said = if expected.contains(" at line ") { &*error } else { start };
        assert_eq!(said, format!("not a shop.Basket: {expected}"), "{text}");
        assert!(place.parse::<usize>().unwrap() <= text.len() + 1, "{text}: {place}");
    }
}

#[test]
fn messages_convert_both_ways() {
    let kind = basket();
    let text = r#"{"items":[{"name":"a","price":7}],"gift":{"picture":"AAE=","sold":false},"counts":{"j":0,"k":-1},"cashPaid":"9007199254740993","totals":["0","1"]}"#;
    let message = parse(&kind, text.as_bytes(), Bounds::none()).unwrap();
    assert_eq!(write(&kind, &message, Format::WIRE, Bounds::none()).unwrap(), text);
    assert_eq!(
        hint::messages(&write(&kind, b"\xff", Format::WIRE, Bounds::none()).unwrap_err())
            .find("not a shop.Basket: "),
        Some(0)
    );
}

#[test]
fn plain_data_has_the_names_of_the_proto_and_defaults() {
    let kind = basket();
    let text =
        r#"{"items": [{"price": 7}], "cash_paid": 9007199254740993, "boughtAt": "2024-01-31T12:00:00Z"}"#;
    let message = parse(&kind, text.as_bytes(), Bounds::none()).unwrap();
    let expected = r#"{"items":[{"name":"","price":7,"picture":"","colour":"RED","weight":0.0}],"counts":{},"by_id":{},"bought_at":"2024-01-31T12:00:00Z","cash_paid":9007199254740993,"totals":[],"sizes":[]}"#;
    assert_eq!(write(&kind, &message, Format::PLAIN, Bounds::none()).unwrap(), expected);
}

#[test]
fn indented_json_has_lines() {
    let kind = basket();
    let message =
        parse(&kind, br#"{"items": [{"price": 7}, {}], "counts": {"a": 1}}"#, Bounds::none()).unwrap();
    let text = write(&kind, &message, Format { indent: true, ..Format::WIRE }, Bounds::none()).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(String::from_utf8(text.to_vec()).unwrap().lines().count(), 11);
    assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"counts":{"a":1},"items":[{"price":7},{}]}"#);
}

#[test]
fn values_unknown_to_json_name_their_field() {
    let kind = basket();
    // Field 6, a Timestamp of minus one nanosecond.
    let wrong: &[u8] = &[0x32, 11, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let unknown: &[u8] = &[0x2a, 5, 0x0a, 3, b'x', b'/', b'y'];
    for (message, expected) in [
        (
            wrong,
            "a shop.Basket that JSON cannot say: field `boughtAt`: 0 s and -1 ns are not a valid Timestamp",
        ),
        (unknown, "a shop.Basket that JSON cannot say: field `any`: no `.proto` has the type of `x/y`"),
        (&[0x3a, 1, 0xff], "not a shop.Basket: field `card`: not UTF-8"),
        (&[0x38, 1], "not a shop.Basket: field `card`: another type on the wire"),
        (&[0x12, 2, 0x10], "not a shop.Basket: not a protobuf message"),
    ] {
        assert_eq!(
            hint::messages(&write(&kind, message, Format::WIRE, Bounds::none()).unwrap_err()),
            expected
        );
    }
}

/// Packed values may come in several records, of which some are empty.
#[test]
fn empty_lists_are_omitted() {
    let kind = basket();
    let text = |message: &[u8], form| {
        String::from_utf8(write(&kind, message, form, Bounds::none()).unwrap().to_vec())
    };
    let empty = [0x52, 0];
    let two = [0x52, 2, 1, 2];
    assert_eq!(text(&empty, Format::WIRE).unwrap(), "{}");
    assert_eq!(text(&[&empty[..], &two, &empty].concat(), Format::WIRE).unwrap(), r#"{"sizes":[1,2]}"#);
    assert_eq!(text(&empty, Format::PLAIN).unwrap(), text(&[], Format::PLAIN).unwrap());
}

#[test]
fn the_last_of_repeated_fields_counts() {
    let kind = basket();
    let card = [0x3a, 1, b'c'];
    let cash = [0x40, 5];
    let gift = |field: &[u8]| [&[0x12, field.len() as u8], field].concat();
    for (parts, expected) in [
        ([&card[..], &cash, &card].concat(), r#"{"card":"c"}"#),
        ([&cash[..], &card, &cash].concat(), r#"{"cashPaid":"5"}"#),
        (
            [gift(&[0x10, 1]), gift(&[0x0a, 1, b'n']), gift(&[0x10, 2])].concat(),
            r#"{"gift":{"name":"n","price":2}}"#,
        ),
        ([0x1a, 5, 0x0a, 1, b'k', 0x10, 1, 0x1a, 3, 0x0a, 1, b'k'].to_vec(), r#"{"counts":{"k":0}}"#),
    ] {
        assert_eq!(write(&kind, &parts, Format::WIRE, Bounds::none()).unwrap(), expected);
    }
}
