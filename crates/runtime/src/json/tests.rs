use super::*;
use crate::errors::chain;
use prost_reflect::DescriptorPool;

const PROTO: &str = r#"
syntax = "proto3";
package shop;
message Basket { repeated Item items = 1; Item gift = 2; map<string, int32> counts = 3; }
message Item { string name = 1; int32 price = 2; bytes picture = 3; }
"#;

fn basket() -> MessageDescriptor {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.proto"), PROTO).unwrap();
    let files = protox::compile(["shop.proto"], [folder.path()]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap().get_message_by_name("shop.Basket").unwrap()
}

#[test]
fn what_does_not_fit_is_told_with_its_field() {
    let kind = basket();
    for (text, expected) in [
        (
            r#"{"gift": {"price": "dear"}}"#,
            "not a shop.Basket: field `gift.price`: invalid digit found in string",
        ),
        (
            r#"{"items": [{}, {"name": 5}]}"#,
            "not a shop.Basket: field `items[1].name`: invalid type: integer",
        ),
        (r#"{"counts": {"a": []}}"#, "not a shop.Basket: field `counts.a`: invalid type: sequence"),
        (r#"{"gift": {"picture": "*"}}"#, "not a shop.Basket: field `gift.picture`: "),
        (r#"{"gift": {"colour": "red"}}"#, "not a shop.Basket: field `gift`: unrecognized field name"),
        ("[1]", "not a shop.Basket: invalid type: sequence"),
        ("{} {}", "not a shop.Basket: trailing characters"),
        ("{", "not a shop.Basket: EOF"),
    ] {
        let error = chain(&parse(&kind, text.as_bytes()).unwrap_err());
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn both_ways() {
    let kind = basket();
    let text = r#"{"items":[{"name":"a","price":7}],"gift":{"picture":"AAE="},"counts":{"k":-1}}"#;
    let message = parse(&kind, text.as_bytes()).unwrap();
    assert_eq!(write(&kind, &message).unwrap(), text);
    assert_eq!(chain(&write(&kind, b"\xff").unwrap_err()).find("not a shop.Basket: "), Some(0));
}
