//! `.proto` files: served methods, reported problems, and the nodes' messages.

use super::*;
use crate::fixture::folder;
use crate::render::Style;
use proptest::prelude::*;
use prost_reflect::prost::Message;
use prost_types::FileDescriptorSet;

const GREETER: &str = "\
syntax = \"proto3\";
package hello;
import \"google/protobuf/timestamp.proto\";
import \"types/person.proto\";
message Request { types.Person first_person = 1; google.protobuf.Timestamp at = 2; }
message Response { message Part { string text_line = 1; } repeated Part parts = 1; }
service Entrypoint {
  rpc Greet (Request) returns (Response);
  rpc Watch (Request) returns (stream Response);
  rpc Part (types.Person) returns (Response.Part);
  rpc Send (stream Request) returns (Response);
}
";
const PERSON: &str = "syntax = \"proto3\"; package types; message Person { string last_name = 1; }";

fn quiet() -> Steps {
    Rc::new(|_| {})
}

fn compile_all(files: &[(&str, &str)], entrypoint: &str) -> (Option<Schema>, Report) {
    let folder = folder(files);
    compile(&Root::open(folder.path()).unwrap(), entrypoint, &quiet())
}

fn lines(report: &Report) -> Vec<String> {
    let line = |problem: &Problem| {
        let place = problem.location.as_ref().map(|at| format!(":{}:{}", at.line, at.column));
        let severity = format!("{:?}", problem.severity).to_lowercase();
        format!("{}{} {severity}: {}", problem.file.display(), place.unwrap_or_default(), problem.message)
    };
    report.problems().iter().map(line).collect()
}

fn names(schema: &Schema) -> Vec<String> {
    let set = FileDescriptorSet::decode(schema.descriptors.as_slice()).unwrap();
    set.file.iter().map(|file| file.name().to_owned()).collect()
}

#[test]
fn methods_with_one_request_are_served() {
    let (schema, report) = compile_all(&[("p.proto", GREETER), ("types/person.proto", PERSON)], "p.proto");
    assert_eq!(lines(&report), [""; 0]);
    let schema = schema.unwrap();
    let paths: Vec<&str> = schema.methods.iter().map(|method| method.path.as_str()).collect();
    assert_eq!(paths, ["/hello.Entrypoint/Greet", "/hello.Entrypoint/Watch", "/hello.Entrypoint/Part"]);
    let streams: Vec<bool> = schema.methods.iter().map(|method| method.streams).collect();
    assert_eq!(streams, [false, true, false]);
    let part = schema.method("/hello.Entrypoint/Part").unwrap();
    assert_eq!(part.input_type_url, "type.googleapis.com/types.Person");
    assert_eq!(part.output_type_url, "type.googleapis.com/hello.Response.Part");
    assert_eq!((part.service.as_str(), part.name.as_str()), ("hello.Entrypoint", "Part"));
    let places: Vec<_> = schema.rpcs.iter().map(|rpc| rpc.location.as_ref().unwrap().line).collect();
    assert_eq!(places, [8, 9, 10, 11]);
    assert_eq!(schema.rpcs[1].location.as_ref().unwrap().column, 7);
    let takes_stream: Vec<bool> = schema.rpcs.iter().map(|rpc| rpc.takes_stream).collect();
    assert_eq!(takes_stream, [false, false, false, true]);
    assert_eq!(names(&schema), ["google/protobuf/timestamp.proto", "types/person.proto", "p.proto"]);
}

#[test]
fn several_services_are_served() {
    let proto = "syntax = \"proto3\"; message M {} service A { rpc X (M) returns (M); } service B { rpc Y (M) returns (M); }";
    let (schema, _) = compile_all(&[("p.proto", proto)], "p.proto");
    let paths: Vec<String> = schema.unwrap().methods.into_iter().map(|method| method.path).collect();
    assert_eq!(paths, ["/A/X", "/B/Y"]);
}

#[test]
fn compile_errors_have_a_location() {
    let service = "service S { rpc R (M) returns (M); }";
    for (content, expected) in [
        ("", "p.proto error: `p.proto` has no service"),
        ("syntax = \"proto3\";\nmessage M {}\n", "p.proto error: `p.proto` has no service"),
        ("syntax = \"proto3\";\nmesage M {}", "p.proto:2:1 error: expected "),
        ("syntax = \"proto3\";\nmessage M { Bar b = 1; }", "p.proto:2:13 error: name `Bar` is not defined"),
        ("syntax = \"proto3\";\nimport \"no.proto\";", "p.proto:2:1 error: import `no.proto` not found"),
        (
            "syntax = \"proto3\";\nimport \"../up.proto\";",
            "p.proto:2:8 error: `../up.proto` is not a path below the package's root",
        ),
        (
            "syntax = \"proto3\";\nimport \"p.proto\";",
            "p.proto error: import cycle detected: p.proto -> p.proto",
        ),
        ("syntax = \"proto3\";\nmessage M { string a = 1;\n string b = 1; }", "p.proto:3:13 error: "),
        ("syntax = \"proto3\";\nmessage M {}\nmessage M {}", "p.proto:3:9 error: name `M` is defined twice"),
    ] {
        let content =
            if content.contains("no service") { format!("{content}{service}") } else { content.to_owned() };
        let (schema, report) = compile_all(&[("p.proto", &content)], "p.proto");
        assert!(schema.is_none(), "{content}");
        assert!(lines(&report)[0].starts_with(expected), "{content}: {:?}", lines(&report));
    }
}

#[test]
fn an_error_in_an_import_is_reported_there() {
    let broken = "syntax = \"proto3\";\npackage types;\nmessage Person { Nobody x = 1; }";
    let (_, report) = compile_all(&[("p.proto", GREETER), ("types/person.proto", broken)], "p.proto");
    insta::assert_snapshot!(report.render(&Style::default()));
}

#[test]
fn nodes_receive_the_other_files() {
    let plain = "syntax = \"proto3\"; package NAME; message Inner { string x = 1; }";
    let (schema, report) = compile_all(
        &[
            ("p.proto", GREETER),
            ("types/person.proto", PERSON),
            ("src/etl/inner.proto", &plain.replace("NAME", "etl")),
            ("src/etl/broken.proto", "syntax = \"proto3\";\nmessage {"),
            ("src/etl/copy.proto", PERSON),
            ("older.proto", &PERSON.replace("last_name", "name")),
            (".hidden/a.proto", "x"),
            (".venv/b.proto", "x"),
            ("env/pyvenv.cfg", ""),
            ("env/lib/c.proto", "x"),
            ("web/node_modules/d.proto", "x"),
            ("lib/site-packages/e.proto", "x"),
        ],
        "p.proto",
    );
    let schema = schema.unwrap();
    assert_eq!(names(&schema)[2..], ["p.proto", "src/etl/inner.proto"]);
    assert!(schema.pool.get_message_by_name("etl.Inner").is_some());
    let lines = lines(&report);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(
        lines[0],
        "older.proto:1:43 warning: name `types.Person` is already defined in file `types/person.proto` \
         (nodes will not know the types of `older.proto`)"
    );
    assert!(lines[1].starts_with("src/etl/broken.proto:2:9 warning: "), "{lines:?}");
}

#[test]
fn files_rejected_by_protoc_have_a_location() {
    let latin = b"syntax = \"proto3\";\npackage types;\n// caf\xe9\nmessage Person { string last_name = 1; }";
    let edition =
        "\u{feff}// new\nedition = \"2023\";\npackage types;\nmessage Person { string last_name = 1; }";
    let utf16: Vec<u8> = PERSON.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bad_name = b"syntax = \"proto3\";\npackage types;\nmessage Person { string caf\xe9 = 1; }";
    for (person, expected) in [
        (&latin[..], ""),
        (edition.as_bytes(), "types/person.proto:2:1 error: the file is written in protobuf edition 2023: "),
        (&utf16, "types/person.proto:1:1 error: the file is UTF-16 text"),
        (bad_name, "types/person.proto:3:28 error: byte 0xe9 is not UTF-8 text"),
    ] {
        let folder = folder(&[("p.proto", GREETER)]);
        std::fs::create_dir(folder.path().join("types")).unwrap();
        std::fs::write(folder.path().join("types/person.proto"), person).unwrap();
        let (schema, report) = compile(&Root::open(folder.path()).unwrap(), "p.proto", &quiet());
        assert_eq!(schema.is_some(), expected.is_empty());
        assert_eq!(lines(&report).len(), usize::from(!expected.is_empty()));
        assert!(lines(&report).concat().starts_with(expected), "{:?}", lines(&report));
        assert!(report.problems().iter().all(|problem| problem.hint.is_some()));
    }
}

#[test]
fn unreadable_files_for_nodes_only_cause_warnings() {
    let files = [("p.proto", GREETER), ("types/person.proto", PERSON), ("new.proto", "edition = \"2024\";")];
    let (schema, report) = compile_all(&files, "p.proto");
    assert!(schema.is_some());
    let line = lines(&report).concat();
    assert!(
        line.starts_with("new.proto:1:1 warning: the file is written in protobuf edition 2024: "),
        "{line}"
    );
    assert!(line.ends_with("(nodes will not know the types of `new.proto`)"), "{line}");
}

#[test]
fn imports_are_found_beside_the_entrypoint_too() {
    let entry = "syntax = \"proto3\"; import \"b.proto\"; service S { rpc R (M) returns (M); }";
    let files = [("proto/a.proto", entry), ("proto/b.proto", "syntax = \"proto3\"; message M {}")];
    let (schema, report) = compile_all(&files, "proto/a.proto");
    assert_eq!(lines(&report), [""; 0]);
    assert_eq!(names(&schema.unwrap()), ["b.proto", "proto/a.proto"]);
}

#[test]
fn oversized_schemas_are_refused() {
    let (_, report) = compile_all(&[("p.proto", &" ".repeat(2 * 1024 * 1024 + 1))], "p.proto");
    assert_eq!(lines(&report), ["p.proto error: `p.proto` is larger than 2 MiB"]);

    let deep = "message M {".repeat(20_000);
    let (schema, report) = compile_all(&[("p.proto", &deep)], "p.proto");
    assert!(schema.is_none() && report.has_errors());

    let chain: Vec<(String, String)> = (0..300)
        .map(|n| (format!("p{n}.proto"), format!("syntax = \"proto3\"; import \"p{}.proto\";", n + 1)))
        .collect();
    let chain: Vec<(&str, &str)> = chain.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (_, report) = compile_all(&chain, "p0.proto");
    assert!(lines(&report)[0].ends_with("imports nest deeper than 50 files"), "{:?}", lines(&report));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mutated_files_never_panic(
        cuts in prop::collection::vec((0usize..GREETER.len(), 0usize..20, "[{}();=.\"/a-zA-Z0-9<> \n]{0,8}"), 1..5),
    ) {
        let mut text = GREETER.to_owned();
        for (place, length, new) in cuts {
            let place = place.min(text.len());
            let end = (place + length).min(text.len());
            text.replace_range(place..end, &new);
        }
        let (schema, report) = compile_all(&[("p.proto", &text), ("types/person.proto", PERSON)], "p.proto");
        prop_assert!(schema.is_some() || report.has_errors());
        prop_assert_eq!(report.render(&Style::default()).is_empty(), report.is_empty());
    }
}
