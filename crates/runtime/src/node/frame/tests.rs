use super::*;
use crate::{
    memory::Pool,
    node::{frames::Frames, outbox::Outbox},
};
use bytes::{BufMut as _, BytesMut};
use proptest::prelude::*;

const LIMIT: usize = 4096;

/// Builds a frame as a worker writes it.
fn frame(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + COUNTED).unwrap();
    [&size.to_le_bytes()[..], &[kind], &id.to_le_bytes(), body].concat()
}

fn frames(limit: usize) -> Frames {
    Frames::new(limit, PayloadForm::Protobuf, &Pool::unlimited())
}

fn take_one(bytes: &[u8]) -> Result<Option<WorkerFrame>, ProtocolError> {
    frames(LIMIT).take(&mut BytesMut::from(bytes))
}

fn result_body(status: u8, rest: &[u8]) -> Vec<u8> {
    [&[status, 1][..], &5u64.to_le_bytes(), &9u64.to_le_bytes(), rest].concat()
}

#[test]
fn violations() {
    let any = Payload::pack("type.googleapis.com/a.B", b"x");
    let short = "is too short";
    let json = "is not the JSON it should be";
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("size 0", vec![0; 9], "a frame's size is 0, the least is 5"),
        ("size 4", [&4u32.to_le_bytes()[..], &[66, 0, 0, 0, 0]].concat(), "the least is 5"),
        ("huge", [&u32::MAX.to_le_bytes()[..], &[66, 0, 0, 0, 0]].concat(), "the limit is 4096"),
        ("kind 0", frame(0, 0, b""), "unknown frame kind 0"),
        ("a kind of the engine's", frame(kind::DELIVER, 1, b""), "unknown frame kind 2"),
        ("RESULT without a body", frame(kind::RESULT, 1, b""), short),
        ("RESULT without times", frame(kind::RESULT, 1, &[0, 0, 1]), short),
        ("RESULT, status 5", frame(kind::RESULT, 1, &result_body(5, b"")), "its status is above 4"),
        ("RESULT, too large, without a size", frame(kind::RESULT, 1, &result_body(4, b"1234567")), short),
        (
            "RESULT without a message",
            frame(kind::RESULT, 1, &result_body(0, b"\x0a\x7f")),
            "holds no message",
        ),
        ("EARLY_REPLY without a message", frame(kind::EARLY_REPLY, 1, b"\xff"), "holds no message"),
        ("LOG, level 5", frame(kind::LOG, 0, &[5, 0, 0, 0, 0, 0, 0, 0, 0]), "its level is above 4"),
        ("LOG without a time", frame(kind::LOG, 0, &[1, 0]), short),
        ("READY that is no JSON", frame(kind::READY, 0, b"ready"), json),
        ("READY without a protocol", frame(kind::READY, 0, b"{}"), json),
        (
            "MEASUREMENT without a time",
            frame(kind::MEASUREMENT, 0, br#"{"measurement":"m","fields":{}}"#),
            json,
        ),
        ("SAVE without a document", frame(kind::SAVE, 1, br#"{"collection":"c"}"#), json),
        ("FIND that is a list", frame(kind::FIND, 1, b"[1]"), json),
        ("FIND, not UTF-8", frame(kind::FIND, 1, b"{\"collection\":\"\xff\"}"), json),
    ];
    for (name, bytes, expected) in rows {
        let violation = take_one(&bytes).expect_err(name).to_string();
        assert!(violation.contains(expected), "{name}: {violation}");
    }
    assert!(matches!(
        take_one(&frame(kind::RESULT, 7, &result_body(0, any.encoded()))),
        Ok(Some(WorkerFrame::Result { id: 7, status: Status::Message(_), early_exit: true, .. }))
    ));
}

#[test]
fn frames_are_taken_when_complete() {
    let whole = frame(kind::RESULT, 3, &result_body(2, b"no"));
    let (mut buffer, mut frames) = (BytesMut::new(), frames(LIMIT));
    for (index, &byte) in whole.iter().enumerate() {
        buffer.put_u8(byte);
        let taken = frames.take(&mut buffer).unwrap();
        assert_eq!(taken.is_some(), index + 1 == whole.len(), "byte {index}");
    }
    assert!(buffer.is_empty());
}

#[test]
fn only_messages_may_be_large() {
    let log = [&[1, 0, 0, 0, 0, 0, 0, 0, 0][..], &vec![b'x'; MAX_OTHER]].concat();
    let log = frame(kind::LOG, 0, &log);
    let error = frames(usize::MAX).take(&mut BytesMut::from(&*log)).unwrap_err();
    assert!(matches!(error, ProtocolError::TooLarge { limit: MAX_OTHER, .. }), "{error}");
    let large = Payload::pack("a.B", &vec![7; 2 * MAX_OTHER]);
    let bytes = frame(kind::RESULT, 1, &result_body(0, large.encoded()));
    assert!(matches!(frames(usize::MAX).take(&mut BytesMut::from(&*bytes)), Ok(Some(_))));
}

#[test]
fn deliver_has_the_layout_of_the_protocol() {
    let payload = Payload::pack("t/a.B", b"v");
    let mut outbox = Outbox::default();
    outbox.deliver(0x0102_0304, flag::REPLIED, 7, "id", b"", payload.encoded());
    let plain = [&[1, 7, 0, 2, 0, 0][..], b"id", payload.encoded()].concat();
    outbox.deliver(9, 0, 7, "id", b"{}", payload.encoded());
    let beside = [&[0, 7, 0, 2, 2, 0][..], b"id", b"{}", payload.encoded()].concat();
    let frames = [frame(kind::DELIVER, 0x0102_0304, &plain), frame(kind::DELIVER, 9, &beside)];
    assert_eq!(outbox.pending(), frames.concat());
}

/// Applies to every way of storing a message, and to partial writes of any size.
#[test]
fn large_messages_keep_their_position() {
    let payload = |size| Payload::pack("t/a.B", &vec![7; size]);
    let body = |size| [&[0, 7, 0, 2, 0, 0][..], b"id", payload(size).encoded()].concat();
    let sizes = [5, 40_000, 100, 20_000, 20_000];
    let expected: Vec<u8> = sizes.iter().flat_map(|&size| frame(kind::DELIVER, 1, &body(size))).collect();
    for count in [1, 1000, 70_000] {
        let mut outbox = Outbox::default();
        for size in sizes {
            outbox.deliver(1, 0, 7, "id", b"", payload(size).encoded());
        }
        assert_eq!(outbox.len(), expected.len());
        let mut sent = Vec::new();
        while !outbox.pending().is_empty() {
            let piece = &outbox.pending()[..count.min(outbox.pending().len())];
            sent.extend_from_slice(piece);
            let count = piece.len();
            outbox.sent(count);
        }
        assert_eq!((sent == expected, outbox.len()), (true, 0));
    }
}

proptest! {
    /// Reading any input ends, takes no more memory than a frame may have, and gives whole frames or a
    /// violation.
    #[test]
    fn any_bytes_are_frames_or_a_violation(bytes: Vec<u8>, kind in 60..75u8, body: Vec<u8>) {
        for stream in [bytes.clone(), frame(kind, 1, &body), [frame(kind, 1, &body), bytes.clone()].concat()] {
            let mut buffer = BytesMut::from(&*stream);
            let mut frames = frames(LIMIT);
            while let Ok(Some(_)) = frames.take(&mut buffer) {}
            prop_assert!(buffer.capacity() <= stream.len() + 2 * (LIMIT + HEADER));
        }
    }

    /// The boundaries of reads do not matter.
    #[test]
    fn chunk_boundaries_do_not_matter(texts in prop::collection::vec(".{0,40}", 1..5), cut in 1..20usize) {
        let stream: Vec<u8> =
            texts.iter().flat_map(|text| frame(kind::BROKEN, 0, text.as_bytes())).collect();
        let (mut buffer, mut frames) = (BytesMut::new(), frames(LIMIT));
        let mut read = Vec::new();
        for piece in stream.chunks(cut) {
            buffer.extend_from_slice(piece);
            while let Some(WorkerFrame::Broken(text)) = frames.take(&mut buffer).unwrap() {
                read.push(text);
            }
        }
        prop_assert_eq!(read, texts);
    }
}
