//! Whatever a host sends, it is read the same in pieces of any size, what is read counts while it is there, and what
//! was read is read again when it is written.
//!
//! The first byte says how: by its lowest bit plain data, by the next one a small pool, above them the pieces.

#![no_main]

use bytes::Bytes;
use krt_model::{message::Timestamp, version::PayloadForm};
use krt_runtime::{
    memory::Pool,
    node::{
        frame::{Field, Level, Message, Status, WorkerFrame},
        fuzzing::{Conversation, read},
    },
};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use serde_json::{Map, Value, json};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The largest `size` of a frame, bytes.
const LIMIT: usize = 48 << 10;
const PIECES: [usize; 6] = [1, 13, 100, 1 << 10, 9 << 10, 1 << 20];
/// Smaller messages are copied, and come through where there is no room.
const SMALL: usize = 8 << 10;
/// What a reader takes beside what it reads: its buffer.
const OVERHEAD: usize = 512 << 10;

fuzz_target!(|bytes: &[u8]| {
    let Some((&options, bytes)) = bytes.split_first() else { return };
    let form = if options & 1 == 0 { PayloadForm::Protobuf } else { PayloadForm::Json };
    let room = if options & 2 == 0 { 256 << 20 } else { 24 << 10 };
    let piece = PIECES[usize::from(options >> 2) % PIECES.len()];
    let memory = Pool::new(room);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let whole = read(bytes, bytes.len().max(1), LIMIT, form, &memory);
    let taken = ALLOCATOR.peak_usage() - before;
    assert!(taken <= OVERHEAD + 48 * bytes.len(), "{} bytes took {taken}", bytes.len());
    let held: usize = whole.frames.iter().filter_map(message).map(held).sum();
    assert!((held..=room).contains(&memory.used()), "{} bytes count of {held}", memory.used());
    let written = write_all(&whole);
    let violation = whole.violation.as_ref().map(ToString::to_string);
    drop(whole.frames);
    assert_eq!(memory.used(), 0);
    let again = read(bytes, piece, LIMIT, form, &memory);
    assert_eq!(write_all(&again), written, "in pieces of {piece}");
    assert_eq!(again.violation.map(|violation| violation.to_string()), violation);
    if let Some(written) = written.into_iter().collect::<Option<Vec<_>>>() {
        reads_again(&written, form);
    }
});

/// The message that a frame carries.
fn message(frame: &WorkerFrame) -> Option<&Message> {
    match frame {
        WorkerFrame::EarlyReply { message, .. } | WorkerFrame::Message { message, .. } => Some(message),
        WorkerFrame::Result { status: Status::Message(message), .. } => Some(message),
        _ => None,
    }
}

/// The bytes of a message that must count.
fn held(message: &Message) -> usize {
    let bytes = bytes(message).map_or(0, |bytes| bytes.len());
    if bytes < SMALL { 0 } else { bytes }
}

fn bytes(message: &Message) -> Option<&Bytes> {
    match message {
        Message::Protobuf(payload) => Some(payload.encoded()),
        Message::Json(text) => Some(text),
        Message::NoRoom(_) => None,
    }
}

fn reads_again(written: &[Vec<u8>], form: PayloadForm) {
    let whole = written.concat();
    let again = read(&whole, whole.len().max(1), 1 << 20, form, &Pool::unlimited());
    assert!(again.violation.is_none(), "{:?}", again.violation);
    assert_eq!(again.rest, 0);
    let again: Vec<_> = write_all(&again).into_iter().flatten().collect();
    assert_eq!(again, written);
}

/// The frames as a host sends them; nothing for one whose message was not read.
fn write_all(conversation: &Conversation) -> Vec<Option<Vec<u8>>> {
    conversation.frames.iter().map(write).collect()
}

fn write(frame: &WorkerFrame) -> Option<Vec<u8>> {
    let (kind, id, body): (u8, u32, Vec<u8>) = match frame {
        WorkerFrame::Ready(ready) => {
            let body = json!({
                "protocol": ready.protocol, "sdk": ready.sdk, "language": ready.language, "batch": ready.batch,
            });
            (64, 0, body.to_string().into())
        }
        WorkerFrame::Broken(text) => (65, 0, text.clone().into()),
        WorkerFrame::Result { id, status, early_exit, whole, start, end } => {
            let (number, rest) = write_status(status)?;
            let flags = u8::from(*early_exit) | u8::from(*whole) << 1;
            (66, *id, [&[number, flags][..], &time(start), &time(end), &rest].concat())
        }
        WorkerFrame::EarlyReply { id, message } => (67, *id, bytes(message)?.to_vec()),
        WorkerFrame::Message { id, message } => (72, *id, bytes(message)?.to_vec()),
        WorkerFrame::Log { id, level, time: when, text } => {
            (68, *id, [&[level_number(*level)][..], &time(when), text.as_bytes()].concat())
        }
        WorkerFrame::Measurement { id, point } => {
            let fields: Map<_, _> = point.fields.iter().map(|(name, of)| (name.clone(), value(of))).collect();
            let body = json!({
                "measurement": point.measurement, "fields": fields, "tags": point.tags, "time": point.time,
            });
            (69, *id, body.to_string().into())
        }
        WorkerFrame::Save { call, delivery, collection, document } => {
            let collection = json!(collection);
            let body =
                format!(r#"{{"delivery":{delivery},"collection":{collection},"document":{document}}}"#);
            (70, *call, body.into())
        }
        WorkerFrame::Find { call, collection, query } => {
            (71, *call, format!(r#"{{"collection":{},"query":{query}}}"#, json!(collection)).into())
        }
    };
    let size = u32::try_from(body.len() + 5).expect("it is short");
    Some([&size.to_le_bytes()[..], &[kind], &id.to_le_bytes(), &body].concat())
}

fn value(field: &Field) -> Value {
    match field {
        Field::Bool(value) => json!(value),
        Field::Int(value) => json!(value),
        Field::Float(value) => json!(value),
        Field::Text(value) => json!(value),
        Field::Other => Value::Null,
    }
}

fn write_status(status: &Status) -> Option<(u8, Vec<u8>)> {
    Some(match status {
        Status::Message(message) => (0, bytes(message)?.to_vec()),
        Status::Nothing => (1, Vec::new()),
        Status::Error(text) => (2, text.clone().into()),
        Status::Cancelled => (3, Vec::new()),
        Status::TooLarge(size) => (4, size.to_le_bytes().to_vec()),
    })
}

fn level_number(level: Level) -> u8 {
    use krt_model::log::Level as Record;
    match level {
        Level::Record(Record::Debug) => 0,
        Level::Record(Record::Info) => 1,
        Level::Record(Record::Warn) => 2,
        Level::Record(Record::Error) => 3,
        Level::Plain => 4,
    }
}

fn time(time: &Timestamp) -> [u8; 8] {
    time.0.to_le_bytes()
}
