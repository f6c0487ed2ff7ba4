//! Compares Proto3 JSON with Google's Python implementation: the same texts give the same messages, and vice
//! versa. `docs/json.md` has the reasons for intentional differences, and `cases::DIFFERENT` lists them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reference/cases.rs"]
mod cases;
#[path = "reference/generate.rs"]
mod generate;
#[path = "reference/python.rs"]
mod python;
#[path = "reference/same.rs"]
mod same;

use cases::{DIFFERENT, SAME};
use generate::Generator;
use krt_runtime::json::{self, Bounds, Format};
use prost_reflect::prost::encoding::encode_varint;
use python::Python;

/// The number of messages generated for each type.
const GENERATED: u64 = 1500;
const TYPES: [&str; 2] = ["reference.All", "reference.Old"];

#[test]
fn listed_texts_agree() {
    let Some(mut python) = Python::start() else { return };
    for (name, text) in SAME {
        python.check_parse(name, text.as_bytes());
    }
}

#[test]
fn known_differences() {
    let Some(mut python) = Python::start() else { return };
    for (name, text, expected) in DIFFERENT {
        let kind = python.kind(name);
        let ours = json::parse(&kind, text.as_bytes(), Bounds::none());
        let shown =
            ours.as_ref().ok().map(|bytes| json::write(&kind, bytes, Format::WIRE, Bounds::none()).unwrap());
        let shown = shown.as_deref().map(|text| std::str::from_utf8(text).unwrap());
        assert_eq!(shown, *expected, "{name}: {text}");
        let theirs = python.parse(name, text.as_bytes());
        let ours = ours.ok().map(|bytes| python.encode(name, &bytes).unwrap());
        assert_ne!(ours, theirs.ok(), "{name}: {text} is no difference; move it");
    }
}

#[test]
fn fields_of_another_wire_type_are_refused() {
    let Some(mut python) = Python::start() else { return };
    let kind = python.kind("reference.All");
    // `int32_` with four bytes instead of a varint; `string_` as a varint.
    for (name, json_name, wire) in [("int32_", "int32", 5), ("string_", "string", 0)] {
        let number = kind.get_field_by_name(name).unwrap().number();
        let mut message = Vec::new();
        encode_varint(u64::from(number << 3 | wire), &mut message);
        message.extend(vec![1; if wire == 5 { 4 } else { 1 }]);
        let error = json::write(&kind, &message, Format::WIRE, Bounds::none()).unwrap_err().to_string();
        assert!(error.contains(json_name), "{error}");
        assert_eq!(python.write("reference.All", &message).unwrap(), "{}");
    }
}

#[test]
fn generated_texts_agree() {
    let Some(mut python) = Python::start() else { return };
    let seed = generate::seed();
    println!("KRT_JSON_SEED={seed}");
    let mut parsed = 0;
    for name in TYPES {
        let kind = python.kind(name);
        for number in 0..GENERATED {
            let mut generator = Generator::new(seed.wrapping_add(number));
            let text = generator.message(&kind);
            let Some(bytes) = python.check_parse(name, text.as_bytes()) else { continue };
            parsed += 1;
            // Two concatenated messages are one, in which later values win.
            // The type of one `Any` and the value of another would hold fields of other wire types.
            generator.anys = false;
            let more = generator.message(&kind);
            let more = json::parse(&kind, more.as_bytes(), Bounds::none()).unwrap_or_default();
            python.check_write(name, &bytes);
            python.check_write(name, &[&bytes[..], &more].concat());
        }
    }
    assert!(parsed > GENERATED / 2, "only {parsed} of the texts were messages");
}

/// Prints the time of both directions here and in prost-reflect, interleaved.
#[test]
#[ignore = "prints figures"]
fn speed() {
    use prost_reflect::{DynamicMessage, prost::Message as _};
    use std::time::{Duration, Instant};
    let kind = python::pool().get_message_by_name("reference.All").unwrap();
    let item = r#"{"int32":7,"int64":"9007199254740993","string":"some text of a usual length","double":0.25,"kind":"ONE","byString":{"a":"b","c":"d"},"timestamp":"2024-01-31T12:00:00Z"}"#
        .replace("\"int32\"", "\"int32_\"").replace("\"int64\"", "\"int64_\"").replace("\"string\"", "\"string_\"").replace("\"double\"", "\"double_\"");
    let text =
        format!(r#"{{"alls":[{}],"doubles":[{}]}}"#, vec![item; 50].join(","), vec!["1.25"; 500].join(","));
    let message = json::parse(&kind, text.as_bytes(), Bounds::none()).unwrap();
    let mut spent = [Duration::ZERO; 4];
    for _ in 0..200 {
        let mut time = |place: usize, work: &dyn Fn()| {
            let begun = Instant::now();
            work();
            spent[place] += begun.elapsed();
        };
        time(0, &|| drop(json::parse(&kind, text.as_bytes(), Bounds::none()).unwrap()));
        time(1, &|| {
            let mut json = serde_json::Deserializer::from_str(&text);
            drop(DynamicMessage::deserialize(kind.clone(), &mut json).unwrap().encode_to_vec());
        });
        time(2, &|| drop(json::write(&kind, &message, Format::WIRE, Bounds::none()).unwrap()));
        time(3, &|| {
            drop(serde_json::to_vec(&DynamicMessage::decode(kind.clone(), &message[..]).unwrap()).unwrap());
        });
    }
    let [read, reflect_read, write, reflect_write] = spent.map(|spent| spent / 200);
    println!(
        "{} bytes of JSON: read {read:?} (prost-reflect {reflect_read:?}), write {write:?} (prost-reflect {reflect_write:?})",
        text.len()
    );
}
