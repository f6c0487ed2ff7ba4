//! The checks of packages with `open_inference`.

use crate::fixture::folder;
use crate::{Loader, Target};
use krt_model::hint;
use prost_reflect::DescriptorPool;

/// The problems of a package whose entrypoint has these messages, and an RPC `Act` between `In` and `Out`.
fn problems(package: &str, service: &str, answer: &str, messages: &str) -> Vec<String> {
    let package = if package.is_empty() { String::new() } else { format!("package {package};\n") };
    let proto = format!(
        "syntax = \"proto3\";\n{package}service {service} {{ rpc Act(In) returns ({answer}); }}\n{messages}\n"
    );
    let manifest = "\
version: v1
description: Acts
entrypoint: { proto: public_input.proto }
nodes: [{ name: actor, src: main.py }]
workflows: [{ name: act, entrypoint: Act, sequential: [actor], open_inference: true }]
";
    let root = folder(&[
        ("krt.yml", manifest),
        ("public_input.proto", &proto),
        ("main.py", "async def handler(ctx, data): ...\n"),
    ]);
    let loader = Loader { target: Target::Local, ..Loader::default() };
    let checked = loader.check(root.path()).map_err(|error| hint::chain(&error)).unwrap();
    checked.report.problems().iter().map(ToString::to_string).collect()
}

fn fields(fields: &str, others: &str) -> Vec<String> {
    problems("shop", "Entrypoint", "Out", &format!("message In {{ {fields} }} message Out {{}} {others}"))
}

#[test]
fn messages_of_tensors_pass() {
    let all = "
        bool flag = 1; optional int64 count = 2; repeated float image = 3; repeated int64 image_shape = 4;
        Row one = 5; repeated Row rows = 6; Color color = 7; bytes raw = 8;";
    let others = "enum Color { RED = 0; } message Row { string name = 1; repeated double values = 2; }";
    assert_eq!(fields(all, others), [""; 0]);
}

#[test]
fn other_fields_are_named() {
    let at = "krt.yml:5:80: ";
    let rows = [
        ("map<string, int32> a = 1;", "field `shop.In.a` cannot be a tensor: it is a map; hint: make it a"),
        ("oneof one { int32 a = 1; }", "field `shop.In.a` cannot be a tensor: it belongs to the oneof `one`"),
        (
            "repeated Deep rows = 1;",
            "field `shop.Deep.row` cannot be a tensor: it is a message in a repeated",
        ),
        (
            "repeated Maybe rows = 1;",
            "field `shop.Maybe.a` cannot be a tensor: it is `optional` in a repeated",
        ),
        (
            "Endless endless = 1;",
            "field `shop.Endless.next` cannot be a tensor: it is more than 16 messages deep",
        ),
        ("Wide a = 1;", "message `shop.In` has more than 1024 fields"),
    ];
    let wide: String = (1..=1024).map(|number| format!("int32 f{number} = {number};")).collect();
    let others = format!(
        "message Row {{ int32 a = 1; }} message Deep {{ Row row = 1; }} message Maybe {{ optional int32 a = 1; }}
        message Endless {{ Endless next = 1; }} message Wide {{ {wide} }}"
    );
    for (field, expected) in rows {
        let found = fields(field, &others);
        assert!(found.len() == 1 && found[0].starts_with(&format!("{at}{expected}")), "{field}: {found:?}");
    }
}

#[test]
fn streams_and_names_of_the_protocol_are_refused() {
    let messages = "message In {} message Out {}";
    let rows = [
        ("shop", "Entrypoint", "stream Out", "RPC `Act` cannot be a model: its answer is a stream"),
        ("inference", "Other", "Out", "the package `inference` of `public_input.proto` belongs to the Open"),
        ("", "v2", "Out", "the path `/v2/Act` belongs to the Open Inference Protocol"),
    ];
    for (package, service, answer, expected) in rows {
        let found = problems(package, service, answer, messages);
        assert!(found.len() == 1 && found[0].contains(expected), "{package}: {found:?}");
    }
    for package in ["inference.v1", "v2"] {
        assert_eq!(problems(package, "Entrypoint", "Out", messages), [""; 0], "{package}");
    }
}

#[test]
fn the_service_is_described() {
    let pool = DescriptorPool::decode(super::descriptors()).unwrap();
    let service = pool.get_service_by_name(super::SERVICE).unwrap();
    assert_eq!(service.methods().len(), 6);
}
