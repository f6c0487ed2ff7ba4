//! Whatever a client sends as a unary gRPC call, it is one whole message or refused, however it comes in pieces; all
//! that is held counts; and what passes is a message for protobuf's own decoder.
//!
//! The first byte says how large the pieces are, the second one how the message is compressed.

#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use krt_compression::Codec;
use krt_runtime::{
    flow::{Admission, Limits},
    ingress::fuzzing::{check, read_call},
};
use libfuzzer_sys::fuzz_target;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use std::sync::{Arc, LazyLock};
use tokio::runtime::{Builder, Runtime};
use tonic::{Code, Status};

/// The largest message, bytes.
const LIMIT: usize = 32 << 10;
const PIECES: [usize; 5] = [1, 4, 6, 100, 16 << 10];
const CODINGS: [&str; 8] =
    ["", "gzip", "gzip, gzip", "identity", "x-gzip", "br", "gzip,gzip,gzip,gzip", "gzip,gzip,gzip,gzip,gzip"];

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).build().expect("threads start"));

static KIND: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/runtime/tests/reference");
    let files =
        protox::compile(["all.proto", "old.proto"], [folder]).expect("they are compiled by tests, too");
    let pool = DescriptorPool::from_file_descriptor_set(files).expect("they are compiled");
    pool.get_message_by_name("reference.All").expect("it is there")
});

fuzz_target!(|bytes: &[u8]| {
    let [piece, coding, body @ ..] = bytes else { return };
    let piece = PIECES[usize::from(*piece) % PIECES.len()];
    let (name, packs, small) =
        (CODINGS[usize::from(*coding) % CODINGS.len()], coding & 0x40 != 0, coding & 0x80 != 0);
    let body = if packs { packed(body) } else { body.to_vec() };
    let room = if small { 160 << 10 } else { 64 << 20 };
    let admission = Arc::new(Admission::new(Limits { requests: 1, bytes: room }));
    admission.open();
    match (call(&body, piece, name, &admission), expected(&body, name)) {
        (Ok(message), Some(expected)) => {
            assert_eq!(message, expected);
            passes(&message);
        }
        (Ok(message), None) => panic!("{message:?} is read of {body:?}"),
        (Err(status), expected) => {
            assert!(expected.is_none() || small, "{status}");
            assert!(!matches!(status.code(), Code::Ok | Code::Unknown), "{status}");
        }
    }
    assert_eq!((admission.in_flight(), admission.memory().used()), (0, 0));
});

/// A call with a message that is compressed once.
fn packed(message: &[u8]) -> Vec<u8> {
    let packed = Codec::Gzip.compress(message).expect("memory takes everything");
    let size = u32::try_from(packed.len()).expect("it is short");
    [&[1][..], &size.to_be_bytes(), &packed].concat()
}

fn call(
    body: &[u8],
    piece: usize,
    coding: &'static str,
    admission: &Arc<Admission>,
) -> Result<Vec<u8>, Status> {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-encoding", HeaderValue::from_static(coding));
    let frames = body.chunks(piece).map(Bytes::copy_from_slice).collect();
    let (permit, message) = RUNTIME.block_on(read_call(frames, &headers, LIMIT, admission))?;
    assert!(admission.memory().used() >= message.len(), "{} bytes count", admission.memory().used());
    drop(permit);
    Ok(message.to_vec())
}

/// The message of a call, read all at once.
fn expected(body: &[u8], coding: &str) -> Option<Vec<u8>> {
    let (&[flag, s0, s1, s2, s3], message) = body.split_first_chunk()?;
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    if size > LIMIT || message.len() != size || flag > 1 {
        return None;
    }
    let times = coding.matches("gzip").count();
    match (flag, times) {
        (0, _) => Some(message.to_vec()),
        (_, 1..=4) if message.is_empty() => Some(Vec::new()),
        (_, 1..=4) => {
            (0..times).try_fold(message.to_vec(), |packed, _| Codec::Gzip.decompress(&packed, LIMIT).ok())
        }
        _ => None,
    }
}

fn passes(message: &[u8]) {
    let (ours, theirs) = (check(message, &KIND), DynamicMessage::decode(KIND.clone(), message));
    // The decoder takes some groups in the place of a map, which ours refuses.
    assert!(ours.is_err() || theirs.is_ok(), "{:?}", theirs.err());
}
