//! Whatever a client sends as an inference, or a node returns: what is read is a message for protobuf's own decoder, both
//! ways lead back in each form, and no more memory is taken than was reserved.
//!
//! The first byte says what the rest is: a body of REST with or without binary data (the next two bytes say where they
//! begin), a message of gRPC, or a message of `tensors.All`.

#![no_main]

use bytes::Bytes;
use krt_package::open_inference::Layout;
use krt_runtime::{
    json::Bounds,
    memory::Pool,
    tensors::{
        Error, Form, InferRequest, InferResponse, Output, RawTensor, Signature, decode, encode, grpc, rest,
    },
};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use std::sync::LazyLock;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is not counted: the names and the shapes of all tensors, an error's text.
const SLACK: usize = 64 << 10;

static KIND: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/runtime/tests/reference");
    let files = protox::compile(["tensors.proto"], [folder]).expect("it is compiled by tests, too");
    let pool = DescriptorPool::from_file_descriptor_set(files).expect("they are compiled");
    pool.get_message_by_name("tensors.All").expect("it is there")
});

static LAYOUT: LazyLock<Layout> = LazyLock::new(|| Layout::of(&KIND).expect("all its fields are tensors"));

fuzz_target!(|bytes: &[u8]| {
    let [what, one, two, bytes @ ..] = bytes else { return };
    LazyLock::force(&LAYOUT);
    let header = usize::from(u16::from_le_bytes([*one, *two]));
    let bytes = Bytes::copy_from_slice(bytes);
    match what % 4 {
        0 => request(*what, |bounds| rest::parse(&bytes, None, signature(), bounds)),
        1 => request(*what, |bounds| rest::parse(&bytes, Some(header), signature(), bounds)),
        2 => request(*what, |bounds| grpc::parse(&bytes, signature(), bounds)),
        _ => {
            within(*what, |bounds| decode(&LAYOUT, &bytes, &bounds));
            if let Ok(tensors) = decode(&LAYOUT, &bytes, &Bounds::none()) {
                leads_back(&tensors);
            }
        }
    }
});

fn signature() -> Signature<'static> {
    Signature { inputs: &LAYOUT, outputs: &LAYOUT }
}

/// Converts with as many bytes of memory as the byte says.
fn within<T>(what: u8, convert: impl Fn(Bounds) -> Result<T, Error>) {
    let room = 1 << (10 + what / 4 % 12);
    let memory = Pool::new(room);
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let made = convert(Bounds { limit: room / 2, reservation: memory.reserve() });
    let taken = ALLOCATOR.peak_usage() - before;
    assert!(taken <= room + SLACK, "{taken} bytes were allocated within {room}");
    drop(made);
    assert_eq!(memory.used(), 0);
}

/// A request that is read is a message, unless a value does not fit in its field.
fn request(what: u8, parse: impl Fn(&Bounds) -> Result<InferRequest, Error>) {
    within(what, |bounds| {
        let parsed = parse(&bounds)?;
        encode(&LAYOUT, &parsed.inputs, bounds)
    });
    let Ok(parsed) = parse(&Bounds::none()) else { return };
    // The rows of a matrix without columns are as many as its shape says, until the limit.
    let bounds = Bounds { limit: 1 << 20, ..Bounds::none() };
    let Ok(message) = encode(&LAYOUT, &parsed.inputs, bounds) else { return };
    DynamicMessage::decode(KIND.clone(), &*message).expect("it was written here");
    leads_back(&decode(&LAYOUT, &message, &Bounds::none()).expect("it was written here"));
}

/// The tensors of a message are the same after each way there and back.
fn leads_back(tensors: &[Option<RawTensor>]) {
    let message = encode(&LAYOUT, tensors, Bounds::none()).expect("they were a message");
    let again = decode(&LAYOUT, &message, &Bounds::none()).expect("it was written here");
    assert_eq!(again, tensors);
    for form in [Form::Binary, Form::Plain] {
        let (body, header) = as_rest_request(tensors, form);
        let json = &body[..header.unwrap_or(body.len())];
        serde_json::from_slice::<&serde_json::value::RawValue>(json).expect("it was written as JSON");
        let read = rest::parse(&body, header, signature(), &Bounds::none()).expect("it was written here");
        // JSON has one NaN only.
        assert!(form == Form::Plain || read.inputs == tensors);
        let read = grpc::parse(&as_grpc_request(tensors, form), signature(), &Bounds::none());
        assert_eq!(read.expect("it was written here").inputs, tensors);
    }
}

fn respond<T>(tensors: &[Option<RawTensor>], form: Form, write: impl Fn(InferResponse<'_>) -> T) -> T {
    let outputs: Vec<Output> = (0..tensors.len()).map(|tensor| Output { tensor, form }).collect();
    write(InferResponse { model: "m", version: "v", id: None, layout: &LAYOUT, tensors, outputs: &outputs })
}

/// An answer as a request over REST: outputs and inputs have the same form.
fn as_rest_request(tensors: &[Option<RawTensor>], form: Form) -> (Bytes, Option<usize>) {
    let written = respond(tensors, form, |response| rest::write(response, Bounds::none()));
    let (body, header) = written.expect("memory takes everything");
    let name = b",\"outputs\":";
    let at = body.windows(name.len()).position(|part| part == name).expect("an answer has outputs");
    let request = [&body[..at], b",\"inputs\":", &body[at + name.len()..]].concat();
    (request.into(), header.map(|header| header - 1))
}

/// An answer as a request over gRPC: outputs and inputs have the same field, raw contents have the next.
fn as_grpc_request(tensors: &[Option<RawTensor>], form: Form) -> Bytes {
    let written = respond(tensors, form, |response| grpc::write(response, Bounds::none()));
    let message = written.expect("memory takes everything");
    let (mut rest, mut request) = (&message[..], Vec::new());
    while let Some(&key) = rest.first() {
        let mut after = &rest[1..];
        let size = prost::encoding::decode_varint(&mut after).expect("all fields have a length");
        let length = rest.len() - after.len() + usize::try_from(size).expect("it is short");
        request.push(if key == 6 << 3 | 2 { 7 << 3 | 2 } else { key });
        request.extend_from_slice(&rest[1..length]);
        rest = &rest[length..];
    }
    request.into()
}
