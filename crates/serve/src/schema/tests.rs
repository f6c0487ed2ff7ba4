use super::*;
use serde_json::{Value, json};
use std::fs;

const MANIFEST: &str = "version: v1
description: x
entrypoint:
  proto: public_input.proto
nodes:
  - name: drawer
    src: main.py
workflows:
  - name: drawing
    entrypoint: Draw
    sequential:
      - drawer
";

const PROTO: &str = "syntax = \"proto3\";
package t;
import \"google/protobuf/wrappers.proto\";
service Entrypoint {
  // Draws it.
  rpc Draw(Shape) returns (Empty);
}
// What is drawn.
//
// On paper.
message Shape {
  // In words.
  string name = 1;
  optional int32 width = 2; // In pixels.
  repeated Colour colours = 3;
  map<string, Shape> parts = 4;
  Shape frame = 5;
  google.protobuf.Int64Value depth = 6;
  oneof filling {
    bytes image = 7;
    double grey = 8;
  }
}
message Empty {}
enum Colour {
  // No colour.
  NONE = 0;
  RED = 1;
}
";

fn described() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let files = [("krt.yml", MANIFEST), ("public_input.proto", PROTO), ("main.py", "")];
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    serde_json::to_value(methods(&krt_package::load(folder.path()).unwrap())).unwrap()
}

#[test]
fn comments_of_authors_are_shown() {
    let response = described();
    assert_eq!(response["methods"][0]["comment"], "Draws it.");
    let messages = &response["messages"];
    assert_eq!(messages["t.Shape"]["comment"], "What is drawn.\n\nOn paper.");
    assert_eq!(messages["t.Empty"]["comment"], Value::Null);
    let fields = messages["t.Shape"]["fields"].as_array().unwrap();
    let comments: Vec<_> = fields.iter().map(|field| field["comment"].clone()).collect();
    let none = Value::Null;
    let expected = [json!("In words."), json!("In pixels."), none.clone()];
    assert_eq!(comments, [&expected[..], &vec![none; 5]].concat());
    assert_eq!(fields[2]["value_comments"], json!({"NONE": "No colour."}));
    assert_eq!(fields[2]["values"], json!(["NONE", "RED"]));
}

#[test]
fn descriptions_of_fields() {
    let response = described();
    let of = |field: &Value| {
        let marks = ["repeated", "map", "optional"].into_iter().filter(|mark| field[mark] == true);
        let words = [field["name"].as_str(), field["type"].as_str(), field["oneof"].as_str()];
        words.into_iter().flatten().chain(marks).collect::<Vec<_>>().join(" ")
    };
    let fields: Vec<_> =
        response["messages"]["t.Shape"]["fields"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(
        fields,
        [
            "name string",
            "width integer optional",
            "colours enum repeated",
            "parts message map",
            "frame message optional",
            "depth int64 optional",
            "image bytes filling optional",
            "grey number filling optional",
        ]
    );
}
