//! Whatever JSON a client sends, or bytes a node returns: what is read is a message for protobuf's own decoder, what is
//! written is JSON for `serde_json`, both ways lead back, and no more memory is taken than was reserved.
//!
//! The first byte says what the rest is: a text or the bytes of a message, of `reference.All` or of a `Struct`.

#![no_main]

use bytes::Bytes;
use krt_runtime::{
    ingress::fuzzing::check,
    json::{Bounds, Error, Format, parse, parse_struct, write, write_struct},
    memory::Pool,
};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use std::sync::LazyLock;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is not counted: a few levels of fields and names, an error's text.
const SLACK: usize = 32 << 10;

static KIND: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/runtime/tests/reference");
    let files =
        protox::compile(["all.proto", "old.proto"], [folder]).expect("they are compiled by tests, too");
    let pool = DescriptorPool::from_file_descriptor_set(files).expect("they are compiled");
    pool.get_message_by_name("reference.All").expect("it is there")
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&what, bytes)) = bytes.split_first() else { return };
    let room = 1 << (10 + what / 4 % 12);
    LazyLock::force(&KIND);
    match what % 4 {
        0 => {
            within(room, |bounds| parse(&KIND, bytes, bounds));
            text(bytes);
        }
        1 => {
            within(room, |bounds| write(&KIND, bytes, Format::WIRE, bounds));
            within(room, |bounds| write(&KIND, bytes, Format::PLAIN, bounds));
            message(bytes);
        }
        2 => {
            within(room, |bounds| parse_struct(bytes, bounds));
            struct_text(bytes);
        }
        _ => {
            within(room, |bounds| write_struct(bytes, Format::PLAIN, bounds));
            struct_message(bytes);
        }
    }
});

/// Converts with so many bytes of memory.
fn within(room: usize, convert: impl Fn(Bounds) -> Result<Bytes, Error>) {
    let memory = Pool::new(room);
    let bounds = Bounds { limit: room / 2, reservation: memory.reserve() };
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let made = convert(bounds);
    let taken = ALLOCATOR.peak_usage() - before;
    assert!(taken <= room + SLACK, "{taken} bytes were allocated within {room}");
    let size = made.as_ref().map_or(0, Bytes::len);
    assert!(size <= room / 2 && memory.used() >= size, "{} bytes count of {size}", memory.used());
    drop(made);
    assert_eq!(memory.used(), 0);
}

/// A text that is read is a message, which says the same in each form.
fn text(text: &[u8]) {
    let Ok(message) = parse(&KIND, text, Bounds::none()) else { return };
    serde_json::from_slice::<&serde_json::value::RawValue>(text).expect("it was read as JSON");
    check(&message, &KIND).expect("it was written here");
    said(&message, &wire(&message).expect("JSON said it"));
}

/// What passes is a message for protobuf's own decoder.
fn message(message: &[u8]) {
    let (ours, theirs) = (check(message, &KIND), DynamicMessage::decode(KIND.clone(), message));
    // The decoder takes some groups in the place of a map, which ours refuses.
    assert!(ours.is_err() || theirs.is_ok(), "{:?}", theirs.err());
    match wire(message) {
        Ok(text) if theirs.is_ok() => said(message, &text),
        // Of a field that came more than once the writer looks at the last only.
        Ok(_) => {}
        // For the decoder the value of an Any is bytes, whatever they hold.
        Err(Error::Decode { at, source, .. }) => {
            let is_in_any = at.split('.').any(|name| name.starts_with("any"));
            assert!(ours.is_err() || is_in_any, "`{at}`: {source}");
        }
        Err(_) => {}
    }
}

fn wire(message: &[u8]) -> Result<Bytes, Error> {
    write(&KIND, message, Format::WIRE, Bounds::none())
}

/// What a message says as JSON is JSON, leads back, and is the same in each form.
fn said(message: &[u8], text: &[u8]) {
    serde_json::from_slice::<&serde_json::value::RawValue>(text).expect("it was written as JSON");
    let read = parse(&KIND, text, Bounds::none()).expect("it was written here");
    let settled = wire(&read).expect("JSON said it");
    // Every number of a `NullValue` is null, and null is its number 0, which a field without presence does not write.
    let has_null = text.windows(11).any(|member| member == br#""null":null"#);
    assert!(settled == text || has_null, "{} became {}", text.escape_ascii(), settled.escape_ascii());
    let forms = [
        Format::WIRE,
        Format::PLAIN,
        Format { indent: true, ..Format::WIRE },
        Format { defaults: true, ..Format::WIRE },
    ];
    for form in forms {
        let written = write(&KIND, message, form, Bounds::none()).expect("another form can say it, too");
        let read = parse(&KIND, &written, Bounds::none());
        let read = read.unwrap_or_else(|error| panic!("{error:?}: {}", String::from_utf8_lossy(&written)));
        let again = wire(&read).expect("JSON said it");
        assert_eq!(again, settled, "{form:?}: {}", String::from_utf8_lossy(&written));
    }
}

fn struct_text(text: &[u8]) {
    let Ok(message) = parse_struct(text, Bounds::none()) else { return };
    let written = write_struct(&message, Format::PLAIN, Bounds::none()).expect("it was written here");
    assert_eq!(parse_struct(&written, Bounds::none()).expect("it was written here"), message);
    let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text);
    // It reads 128 levels.
    if let (Ok(theirs), Ok(ours)) = (value(text), value(&written)) {
        assert_eq!(ours, theirs);
    }
}

fn struct_message(message: &[u8]) {
    let Ok(text) = write_struct(message, Format::PLAIN, Bounds::none()) else { return };
    serde_json::from_slice::<&serde_json::value::RawValue>(&text).expect("it was written as JSON");
    let read = parse_struct(&text, Bounds::none()).expect("it was written here");
    assert_eq!(write_struct(&read, Format::PLAIN, Bounds::none()).expect("JSON said it"), text);
}
