//! `KreNatsMessage`: the message from node to node over NATS.
//!
//! The payload is never decoded: an envelope that is read and passed on keeps its bytes.

use crate::{compression, compression::Compression, timestamp};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use krt_model::message::{self, Payload, Timestamp};
use prost::encoding::{self, DecodeContext, WireType};

/// The numbers of the fields.
mod field {
    pub(super) const TRACKING_ID: u32 = 1;
    pub(super) const TRACKING: u32 = 2;
    pub(super) const REPLY: u32 = 3;
    pub(super) const PAYLOAD: u32 = 4;
    pub(super) const ERROR: u32 = 5;
    pub(super) const REPLIED: u32 = 6;
    pub(super) const EARLY_EXIT: u32 = 7;

    pub(super) const NODE_NAME: u32 = 1;
    pub(super) const START: u32 = 2;
    pub(super) const END: u32 = 3;
}

/// Most stages in an envelope. A request passes one per step of its workflow, and each takes far more memory
/// than its bytes.
const MAX_STAGES: usize = 1_000;
/// Largest stage, in bytes.
const MAX_STAGE: usize = 1 << 10;
/// Longest request id or reply address, in bytes.
const MAX_ID: usize = 512;
/// Part of an error's text that is read, in bytes.
const MAX_ERROR: usize = 1 << 20;

/// The message that one runner sends to the next.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Envelope {
    /// The request's id.
    pub tracking_id: String,
    /// The stages passed, the entrypoint first.
    pub tracking: Vec<Stage>,
    /// Where to send the answer: the request's inbox, or in JetStream its id.
    pub reply: String,
    /// The message; `None` beside an error.
    pub payload: Option<Payload>,
    /// The error's text; empty if nothing failed.
    pub error: String,
    /// Whether the client has its answer.
    pub replied: bool,
    /// Whether the message is the final answer. JetStream only.
    pub early_exit: bool,
}

/// A stage that a request has passed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stage {
    /// Its node, or the entrypoint.
    pub node_name: String,
    /// Its start; `None` if it is not a valid time.
    pub start: Option<Timestamp>,
    /// Its end; `None` if it is not a valid time.
    pub end: Option<Timestamp>,
}

/// Why bytes are not an envelope.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a `KreNatsMessage`.
    #[error("not a KreNatsMessage")]
    Message(#[source] prost::DecodeError),
    /// The payload is not a message.
    #[error("the payload of the KreNatsMessage is not a message")]
    Payload(#[source] message::Error),
    /// The bytes start like compressed ones, but do not decompress.
    #[error("the bytes do not decompress")]
    Compressed(#[source] krt_compression::Error),
    /// It names more stages than a request can pass.
    #[error("it names more than {limit} stages that the request has passed")]
    Tracking {
        /// The limit.
        limit: usize,
    },
    /// The request's id or the reply address is invalid.
    #[error("its {field} is too long or has characters that none has")]
    LongId {
        /// The field.
        field: &'static str,
    },
    /// It is too large.
    #[error("the message has more than {limit} bytes when it is decompressed")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl Envelope {
    /// Encodes it for NATS, compressed if it is large or exceeds `limit`.
    pub fn encode(&self, compression: Compression, limit: usize) -> Bytes {
        compression.pack(self.plain(), limit)
    }

    fn plain(&self) -> Bytes {
        let mut out =
            BytesMut::with_capacity(256 + self.payload.as_ref().map_or(0, |payload| payload.encoded().len()));
        put_text(&mut out, field::TRACKING_ID, &self.tracking_id);
        for stage in &self.tracking {
            let mut inner = BytesMut::with_capacity(96);
            put_text(&mut inner, field::NODE_NAME, &stage.node_name);
            let moments = [(field::START, stage.start), (field::END, stage.end)];
            for (number, timestamp) in
                moments.into_iter().filter_map(|(number, timestamp)| Some((number, timestamp?)))
            {
                put_text(&mut inner, number, &timestamp::write(timestamp));
            }
            put_bytes(&mut out, field::TRACKING, &inner);
        }
        put_text(&mut out, field::REPLY, &self.reply);
        if let Some(payload) = &self.payload {
            put_bytes(&mut out, field::PAYLOAD, payload.encoded());
        }
        put_text(&mut out, field::ERROR, &self.error);
        put_flag(&mut out, field::REPLIED, self.replied);
        put_flag(&mut out, field::EARLY_EXIT, self.early_exit);
        out.freeze()
    }

    /// Decodes a message from NATS, compressed or not; `limit` is its largest size when decompressed, in
    /// bytes.
    pub fn decode(bytes: Bytes, limit: usize) -> Result<Self, Error> {
        let plain = compression::unpack(bytes, limit).map_err(|error| match error {
            krt_compression::Error::TooLarge { limit } => Error::TooLarge { limit },
            error => Error::Compressed(error),
        })?;
        Self::read(plain, limit)
    }

    /// Decodes plain bytes, at most `limit`. The payload is a slice of these bytes.
    pub fn read(mut rest: Bytes, limit: usize) -> Result<Self, Error> {
        if rest.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        let mut envelope = Self::default();
        while rest.has_remaining() {
            envelope.take_field(&mut rest)?;
            if envelope.tracking.len() > MAX_STAGES {
                return Err(Error::Tracking { limit: MAX_STAGES });
            }
        }
        for (field, text) in [("tracking_id", &envelope.tracking_id), ("reply", &envelope.reply)] {
            if text.len() > MAX_ID || text.chars().any(char::is_control) {
                return Err(Error::LongId { field });
            }
        }
        Ok(envelope)
    }

    /// Returns roughly the bytes of memory it takes besides its payload.
    pub fn size_beside(&self) -> usize {
        let names: usize = self.tracking.iter().map(|stage| stage.node_name.len()).sum();
        self.tracking.len() * size_of::<Stage>() + names + self.error.len()
    }

    fn take_field(&mut self, rest: &mut Bytes) -> Result<(), Error> {
        let (number, wire) = encoding::decode_key(rest).map_err(Error::Message)?;
        let context = DecodeContext::default;
        let merged = match number {
            field::TRACKING_ID => encoding::string::merge(wire, &mut self.tracking_id, rest, context()),
            field::TRACKING => {
                let mut stage = Bytes::new();
                let read = encoding::bytes::merge(wire, &mut stage, rest, context());
                if stage.len() > MAX_STAGE {
                    return Err(Error::LongId { field: "tracking" });
                }
                read.and_then(|()| Stage::decode(stage)).map(|stage| self.tracking.push(stage))
            }
            field::REPLY => encoding::string::merge(wire, &mut self.reply, rest, context()),
            field::PAYLOAD => {
                let mut payload = Bytes::new();
                encoding::bytes::merge(wire, &mut payload, rest, context()).map_err(Error::Message)?;
                self.payload = Some(Payload::parse(payload).map_err(Error::Payload)?);
                Ok(())
            }
            field::ERROR => {
                let mut error = Bytes::new();
                let read = encoding::bytes::merge(wire, &mut error, rest, context());
                error.truncate(MAX_ERROR);
                self.error = String::from_utf8_lossy(&error).into_owned();
                read
            }
            field::REPLIED => encoding::bool::merge(wire, &mut self.replied, rest, context()),
            field::EARLY_EXIT => encoding::bool::merge(wire, &mut self.early_exit, rest, context()),
            _ => encoding::skip_field(wire, number, rest, context()),
        };
        merged.map_err(Error::Message)
    }
}

impl Stage {
    fn decode(mut rest: Bytes) -> Result<Self, prost::DecodeError> {
        let mut stage = Self::default();
        let (mut start, mut end) = (String::new(), String::new());
        while rest.has_remaining() {
            let (number, wire) = encoding::decode_key(&mut rest)?;
            let text = match number {
                field::NODE_NAME => &mut stage.node_name,
                field::START => &mut start,
                field::END => &mut end,
                _ => {
                    encoding::skip_field(wire, number, &mut rest, DecodeContext::default())?;
                    continue;
                }
            };
            encoding::string::merge(wire, text, &mut rest, DecodeContext::default())?;
        }
        Ok(Self { start: timestamp::read(&start), end: timestamp::read(&end), ..stage })
    }
}

fn put_text(out: &mut BytesMut, number: u32, text: &str) {
    if !text.is_empty() {
        put_bytes(out, number, text.as_bytes());
    }
}

fn put_bytes(out: &mut BytesMut, number: u32, content: &[u8]) {
    encoding::encode_key(number, WireType::LengthDelimited, out);
    encoding::encode_varint(content.len() as u64, out);
    out.put_slice(content);
}

fn put_flag(out: &mut BytesMut, number: u32, flag: bool) {
    if flag {
        encoding::bool::encode(number, &flag, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::{GZIP_ABOVE, OTHERS_ABOVE};
    use proptest::prelude::*;
    use prost::Message as _;

    const LIMIT: usize = 64 << 20;

    /// prost's type for the definition in KRT v1.
    #[derive(Clone, PartialEq, prost::Message)]
    struct KreNatsMessage {
        #[prost(string, tag = "1")]
        tracking_id: String,
        #[prost(message, repeated, tag = "2")]
        tracking: Vec<Tracking>,
        #[prost(string, tag = "3")]
        reply: String,
        #[prost(bytes = "vec", optional, tag = "4")]
        payload: Option<Vec<u8>>,
        #[prost(string, tag = "5")]
        error: String,
        #[prost(bool, tag = "6")]
        replied: bool,
        #[prost(bool, tag = "7")]
        early_exit: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Tracking {
        #[prost(string, tag = "1")]
        node_name: String,
        #[prost(string, tag = "2")]
        start: String,
        #[prost(string, tag = "3")]
        end: String,
    }

    fn payload(size: usize) -> Payload {
        Payload::pack("type.googleapis.com/a.Message", &vec![7; size])
    }

    fn envelopes() -> impl Strategy<Value = Envelope> {
        let timestamp =
            prop::option::of((0_u64..9_000_000_000_000_000).prop_map(|micros| Timestamp(micros * 1000)));
        let stage = ("[a-z]{0,5}", timestamp.clone(), timestamp).prop_map(|(node_name, start, end)| Stage {
            node_name,
            start,
            end,
        });
        (
            "[a-z0-9-]{0,40}",
            prop::collection::vec(stage, 0..4),
            r"[^\pC]{0,20}",
            prop::option::of((0_usize..2000).prop_map(payload)),
            ".{0,20}",
            any::<[bool; 2]>(),
        )
            .prop_map(|(tracking_id, tracking, reply, payload, error, [replied, early_exit])| {
                Envelope { tracking_id, tracking, reply, payload, error, replied, early_exit }
            })
    }

    #[test]
    fn large_envelopes_are_compressed_and_bombs_refused() {
        for (compression, above) in Compression::ALL.into_iter().zip([GZIP_ABOVE, OTHERS_ABOVE, OTHERS_ABOVE])
        {
            let large = Envelope { payload: Some(payload(above)), ..Envelope::default() };
            let bytes = large.encode(compression, LIMIT);
            assert!(bytes.len() < above / 10, "{compression}: {} bytes", bytes.len());
            assert_eq!(Envelope::decode(bytes.clone(), LIMIT).unwrap(), large, "{compression}");
            let refused = Envelope::decode(bytes, above).unwrap_err().to_string();
            assert_eq!(refused, format!("the message has more than {above} bytes when it is decompressed"));
            let small = Envelope { payload: Some(payload(above - 100)), ..Envelope::default() };
            assert_eq!(small.encode(compression, LIMIT), small.plain(), "{compression}");
            assert!(small.encode(compression, above / 2).len() < above / 10, "{compression}");
        }
    }

    #[test]
    fn incompressible_envelopes_stay_uncompressed() {
        let noise: Vec<u8> =
            std::iter::successors(Some(1_u32), |seed| Some(seed.wrapping_mul(1_664_525).wrapping_add(1)))
                .take(GZIP_ABOVE)
                .map(|seed| (seed >> 24) as u8)
                .collect();
        let envelope = Envelope { payload: Some(Payload::pack("a.M", &noise)), ..Envelope::default() };
        for compression in Compression::ALL {
            assert_eq!(envelope.encode(compression, LIMIT), envelope.plain(), "{compression}");
        }
    }

    #[test]
    fn invalid_envelopes_are_refused() {
        for (bytes, words) in [
            (&b"\xff\xff\xff"[..], "not a KreNatsMessage"),
            (b"\x0a\x05ab", "not a KreNatsMessage"),
            (b"\x22\x02\xff\xff", "the payload of the KreNatsMessage is not a message"),
            (b"\x1f\x8bnothing", "the bytes do not decompress"),
            (b"\x28\xb5\x2f\xfdnothing", "the bytes do not decompress"),
            (b"\x04\x22\x4d\x18nothing", "the bytes do not decompress"),
            (b"\x0a\x03a\nb", "its tracking_id is too long or has characters that none has"),
            (b"\x1a\x03a\rb", "its reply is too long or has characters that none has"),
            (
                &[b"\x12\x81\x08".as_slice(), &[b'a'; MAX_STAGE + 1]].concat(),
                "its tracking is too long or has characters that none has",
            ),
            (
                &[b"\x12\x00".as_slice(); MAX_STAGES + 1].concat(),
                "it names more than 1000 stages that the request has passed",
            ),
        ] {
            let error = Envelope::decode(Bytes::copy_from_slice(bytes), LIMIT).unwrap_err();
            assert_eq!(error.to_string(), words);
        }
    }

    #[test]
    fn envelopes_at_the_limits_are_read() {
        let stage = Stage { node_name: "n".repeat(MAX_STAGE - 3), ..Stage::default() };
        let large = Envelope {
            tracking_id: "i".repeat(MAX_ID),
            tracking: vec![stage],
            reply: "r".repeat(MAX_ID),
            error: "failed".to_owned(),
            ..Envelope::default()
        };
        let many = Envelope { tracking: vec![Stage::default(); MAX_STAGES], ..Envelope::default() };
        for (envelope, size) in
            [(large, size_of::<Stage>() + MAX_STAGE - 3 + 6), (many, MAX_STAGES * size_of::<Stage>())]
        {
            let bytes = envelope.plain();
            let limit = bytes.len();
            assert_eq!(Envelope::read(bytes.clone(), limit).unwrap(), envelope);
            assert_eq!(envelope.size_beside(), size);
            assert!(matches!(Envelope::read(bytes, limit - 1), Err(Error::TooLarge { .. })));
        }
    }

    #[test]
    fn long_errors_are_truncated() {
        let envelope = Envelope { error: "x".repeat(MAX_ERROR + 10), ..Envelope::default() };
        let read = Envelope::decode(envelope.encode(Compression::Gzip, usize::MAX), usize::MAX).unwrap();
        assert_eq!((read.error.len(), read.size_beside()), (MAX_ERROR, MAX_ERROR));
    }

    proptest! {
        #[test]
        fn envelopes_match_their_protobuf_definition(envelope in envelopes()) {
            let bytes = envelope.encode(Compression::Gzip, LIMIT);
            prop_assert_eq!(&Envelope::decode(bytes.clone(), LIMIT).unwrap(), &envelope);
            let theirs = KreNatsMessage::decode(bytes).unwrap();
            prop_assert_eq!(&theirs.tracking_id, &envelope.tracking_id);
            prop_assert_eq!(theirs.tracking.len(), envelope.tracking.len());
            prop_assert_eq!(theirs.payload.is_some(), envelope.payload.is_some());
            let again = Envelope::decode(theirs.encode_to_vec().into(), LIMIT).unwrap();
            prop_assert_eq!(again, envelope);
        }

        #[test]
        fn any_bytes_decode_or_fail(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            magic in prop::sample::select(vec![&b""[..], b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"]),
        ) {
            let bytes = [magic, &bytes].concat();
            if let Ok(envelope) = Envelope::decode(bytes.into(), 1000) {
                prop_assert_eq!(Envelope::decode(envelope.encode(Compression::Zstd, LIMIT), LIMIT).unwrap(), envelope);
            }
        }
    }
}
