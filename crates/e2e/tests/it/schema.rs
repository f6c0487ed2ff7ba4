//! The user's `.proto`, of every shape (docs/reference/krt-v1.md#entrypoint).

use crate::{
    script::{self, raised, send, value},
    support::{Krt, assert_status, krt::write_package},
};
use serde_json::{Value, json};
use tonic::Code;

const MANIFEST: &str = "
version: shapes-v1
description: A .proto of many shapes.
entrypoint: {proto: public_input.proto}
nodes:
  - {name: echo, src: src/main.py}
workflows:
  - {name: nested, entrypoint: Nested, sequential: [echo]}
  - {name: known, entrypoint: Known, sequential: [echo]}
  - {name: nothing, entrypoint: Nothing, sequential: [echo]}
  - {name: far, entrypoint: Far, sequential: [echo]}
";

const PROTO: &str = r#"
syntax = "proto3";

import "google/protobuf/empty.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/any.proto";
import "shared/all.proto";

// Neither a package nor the usual name.
service Shop {
  rpc Nested(Outer.Middle.Inner) returns (.Outer.Middle.Inner);
  rpc Known(google.protobuf.Struct) returns (google.protobuf.Struct);
  rpc Nothing(google.protobuf.Empty) returns (google.protobuf.Empty);
}

// One of two services of one file.
service Second {
  rpc Far(a.b.c.Far) returns (a.b.c.Far);
}

message Outer {
  message Middle {
    message Inner {
      enum Kind { NONE = 0; SOME = 1; }
      Kind kind = 1;
      oneof choice {
        string text = 2;
        Outer outer = 3;
      }
      map<int32, Inner> inner = 4;
      optional bool maybe = 5;
      google.protobuf.Int64Value large = 6;
      google.protobuf.Any anything = 7;
    }
  }
  Middle.Inner inner = 1;
}
"#;

#[tokio::test]
async fn a_proto_of_many_shapes() {
    let package = write_package(&[
        ("krt.yml", MANIFEST),
        ("public_input.proto", PROTO),
        ("shared/all.proto", "syntax = \"proto3\"; import public \"shared/deep/far.proto\";"),
        (
            "shared/deep/far.proto",
            "syntax = \"proto2\"; package a.b.c; message Far { optional int32 n = 1 [default = 7]; }",
        ),
        (
            "src/main.py",
            "import public_input_pb2, shared.deep.far_pb2\n\
             assert public_input_pb2.Outer.Middle.Inner.SOME == 1\n\
             async def handler(ctx, data):\n    return data\n",
        ),
    ]);
    let service = Krt::run_at(package.path()).start().await;
    let inner = json!({
        "kind": "SOME", "outer": { "inner": { "text": "deep" } }, "inner": { "-1": { "text": "of a map" } },
        "maybe": false, "large": "9007199254740993",
        "anything": { "@type": "type.googleapis.com/a.b.c.Far", "n": 1 },
    });
    assert_eq!(service.call("Nested", inner.clone()).await.unwrap(), inner);
    let known = json!({ "a": [1.5, null, "text"], "b": { "c": true } });
    assert_eq!(service.call("Known", known.clone()).await.unwrap(), known);
    assert_eq!(service.call("Nothing", json!({})).await.unwrap(), json!({}));
    assert_eq!(service.call("Far", json!({ "n": -3 })).await.unwrap(), json!({ "n": -3 }));
    service.stop().await;
}

#[tokio::test]
async fn a_request_is_an_any_of_its_type() {
    let service = script::start().await;
    let code = "
        note, other = messages.Note(), messages.Other()
        return [data.type_url, data.DESCRIPTOR.full_name, data.Is(note.DESCRIPTOR),
                data.Unpack(note), list(note.trail), data.Unpack(other), type(data).__name__]
    ";
    let url = "type.googleapis.com/script.Note";
    let expected = json!([url, "google.protobuf.Any", true, true, [], false, "Any"]);
    assert_eq!(value(&service, code).await, expected);
    let second = send(&service, "Two", &["return 1", code]).await.unwrap();
    let expected = json!([url, "google.protobuf.Any", true, true, ["first"], false, "Any"]);
    assert_eq!(serde_json::from_str::<Value>(second["text"].as_str().unwrap()).unwrap(), expected);
    service.stop().await;
}

#[tokio::test]
async fn unencodable_and_untyped_answers_fail_at_once() {
    let service = script::start().await;
    let strict = "from strict_pb2 import Strict\nreturn Strict(name='full')";
    assert_eq!(send(&service, "GetStrict", &[strict]).await.unwrap(), json!({ "name": "full" }));
    let empty = "from strict_pb2 import Strict\nreturn Strict()";
    let status = send(&service, "GetStrict", &[empty]).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(
        status.message().starts_with("error in 'first': ") && status.message().contains("name"),
        "{status}"
    );
    let (_, text) =
        raised(&service, "ctx.early_reply(__import__('strict_pb2', fromlist=['Strict']).Strict())").await;
    assert!(text.contains("name"), "{text}");

    let rows = [
        ("return type(data)()", "message of no type"),
        ("return type(data)(type_url='x/script.Other')", "script.Other"),
    ];
    for (code, got) in rows {
        let message = format!("node 'first' answered with a {got}, but the RPC returns script.Note");
        assert_status(send(&service, "One", &[code]).await, Code::Internal, &message);
    }
    service.stop().await;
}
