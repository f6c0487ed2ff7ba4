//! No conversion allocates more than was reserved for it.
//!
//! A counting allocator measures the peak of a conversion. With a lower limit, the conversion must then fail,
//! or stay within the limit. This is a separate program, since the allocator counts all threads.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reference/generate.rs"]
mod generate;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use generate::Generator;
use krt_runtime::{
    json::{self, Bounds, Error, Format},
    memory::{Pool, Refused},
};
use peak_alloc::PeakAlloc;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Uncounted memory: a few levels of fields and names, an error's text.
const SLACK: usize = 32 << 10;
const LARGE: usize = 100_000;

fn kind() -> MessageDescriptor {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let files = protox::compile(["all.proto", "old.proto"], [folder]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap().get_message_by_name("reference.All").unwrap()
}

/// The result of a conversion within a limit, and the peak of its allocations.
fn within(limit: usize, convert: &dyn Fn(Bounds) -> Result<Bytes, Error>) -> (Result<Bytes, Error>, usize) {
    let memory = Pool::new(limit);
    let bounds = Bounds { limit: usize::MAX, reservation: memory.reserve() };
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let made = convert(bounds);
    let peak = ALLOCATOR.peak_usage() - before;
    if let Ok(made) = &made {
        assert!(memory.used() >= made.len(), "{} of {} bytes are held", memory.used(), made.len());
    } else {
        assert_eq!(memory.used(), 0);
    }
    (made, peak)
}

#[track_caller]
fn check(name: &str, convert: &dyn Fn(Bounds) -> Result<Bytes, Error>) {
    let (whole, peak) = within(usize::MAX, convert);
    for part in [1, 2, 5, 8, 9] {
        let limit = peak * part / 10;
        let (made, taken) = within(limit, convert);
        assert!(taken <= limit + SLACK, "{name}: {taken} bytes were allocated within {limit} of {peak}");
        let refused = matches!(made, Err(Error::Refused(Refused::Full(_))));
        assert!(refused || made.is_ok() == whole.is_ok(), "{name}: {made:?}");
    }
    // Nor is the reserved amount much larger than the peak.
    let (made, _) = within(5 * peak + SLACK, convert);
    assert_eq!(made.is_ok(), whole.is_ok(), "{name}: {made:?}");
}

fn repeat(item: &str) -> String {
    vec![item; LARGE / (item.len() + 1)].join(",")
}

fn numbered(item: impl Fn(usize) -> String) -> String {
    (0..LARGE / 10).map(item).collect::<Vec<_>>().join(",")
}

/// JSON that grows a lot, or that needs much memory to parse.
fn texts() -> Vec<(&'static str, String)> {
    let long = |character: &str| character.repeat(LARGE / character.len());
    vec![
        ("numbers of a list", format!(r#"{{"valuesByName":{{"a":[{}]}}}}"#, repeat("1"))),
        ("objects of a list", format!(r#"{{"valuesByName":{{"a":[{}]}}}}"#, repeat("{}"))),
        ("names", format!(r#"{{"valuesByName":{{"a":{{{}}}}}}}"#, numbered(|name| format!("\"{name}\":0")))),
        (
            "names with escapes",
            format!(r#"{{"valuesByName":{{"a":{{{}}}}}}}"#, numbered(|name| format!("\"\\n{name}\":0"))),
        ),
        ("keys", format!(r#"{{"byString":{{{}}}}}"#, numbered(|key| format!("\"{key}\":\"\"")))),
        (
            "keys with escapes",
            format!(r#"{{"byString":{{{}}}}}"#, numbered(|key| format!("\"\\t{key}\":\"\""))),
        ),
        ("keys that are numbers", format!(r#"{{"byInt32":{{{}}}}}"#, numbered(|key| format!("\"{key}\":1")))),
        ("packed", format!(r#"{{"doubles":[{}]}}"#, repeat("1"))),
        ("messages", format!(r#"{{"alls":[{}]}}"#, repeat("{}"))),
        ("texts", format!(r#"{{"strings":[{}]}}"#, repeat("\"\""))),
        ("a text", format!(r#"{{"string_":"{}"}}"#, long("x"))),
        ("a text with escapes", format!(r#"{{"string_":"{}"}}"#, long("\\n"))),
        ("a text with an escape at its end", format!(r#"{{"string_":"{}\\n"}}"#, long("x"))),
        ("bytes", format!(r#"{{"bytes_":"{}"}}"#, STANDARD.encode(vec![7; LARGE]))),
        ("bytes of the other alphabet", format!(r#"{{"bytes_":"{}"}}"#, long("-___"))),
        ("a number", format!(r#"{{"int32_":0.{}}}"#, long("0"))),
        ("a number that does not fit", format!(r#"{{"int32_":1{}}}"#, long("0"))),
        ("an unknown name", format!(r#"{{"{}":1}}"#, long("x"))),
        ("an unknown name with escapes", format!(r#"{{"{}":1}}"#, long("\\n"))),
        ("a broken end", format!(r#"{{"valuesByName":{{"a":[{}"#, repeat("1"))),
        ("a name twice", format!(r#"{{"byString":{{"{0}":"","{0}":""}}}}"#, long("x"))),
    ]
}

#[test]
fn all_held_memory_is_counted() {
    let kind = kind();
    for (name, text) in texts() {
        check(name, &|bounds| json::parse(&kind, text.as_bytes(), bounds));
        let Ok(message) = json::parse(&kind, text.as_bytes(), Bounds::none()) else { continue };
        for form in [Format::WIRE, Format::PLAIN, Format { indent: true, ..Format::WIRE }] {
            check(name, &|bounds| json::write(&kind, &message, form, bounds));
        }
        // In two parts; the second one equals the first.
        let twice = [&message[..], &message].concat();
        check(name, &|bounds| json::write(&kind, &twice, Format::WIRE, bounds));
    }
    let free = format!(
        r#"{{"a":[{}],{}}}"#,
        repeat("18446744073709551615"),
        numbered(|name| format!("\"{name}\":{{}}"))
    );
    check("exact", &|bounds| json::parse_struct(free.as_bytes(), bounds));
    let message = json::parse_struct(free.as_bytes(), Bounds::none()).unwrap();
    check("exact", &|bounds| json::write_struct(&message, Format::PLAIN, bounds));
    generated(&kind);
}

/// Generated texts, many times.
fn generated(kind: &MessageDescriptor) {
    let seed = generate::seed();
    for number in 0..8 {
        let mut generator = Generator::new(seed.wrapping_add(number));
        let item = generator.message(kind);
        let text = format!(r#"{{"alls":[{}]}}"#, vec![&*item; LARGE / item.len() + 1].join(","));
        let name = format!("seed {seed}, {number}: {item}");
        check(&name, &|bounds| json::parse(kind, text.as_bytes(), bounds));
        if let Ok(message) = json::parse(kind, text.as_bytes(), Bounds::none()) {
            check(&name, &|bounds| json::write(kind, &message, Format::WIRE, bounds));
        }
    }
}
