//! Messages of a workflow.
//!
//! The engine never decodes a message that it only passes on: it carries the type and the bytes.

use crate::name::Name;
use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{self, DecodeContext, WireType};

/// An encoded `google.protobuf.Any` with the positions of its two fields.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    encoded: Bytes,
    type_url: Bytes,
    value: Bytes,
}

/// Why bytes are not a payload.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an encoded `google.protobuf.Any`.
    #[error("the bytes are not a google.protobuf.Any")]
    Any(#[source] prost::DecodeError),
    /// The type is not text.
    #[error("the type of the google.protobuf.Any is not UTF-8")]
    Text,
}

/// The prefix of a message's full name in a type URL.
pub const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

const TYPE_URL_FIELD: u32 = 1;
const VALUE_FIELD: u32 = 2;

impl Payload {
    /// Packs an encoded message of the type in `type_url`.
    pub fn pack(type_url: &str, value: &[u8]) -> Self {
        let mut encoded = BytesMut::with_capacity(Self::packed_size(type_url, value));
        let text_at = put_field(&mut encoded, TYPE_URL_FIELD, type_url.as_bytes());
        let value_at = put_field(&mut encoded, VALUE_FIELD, value);
        let encoded = encoded.freeze();
        Self {
            type_url: encoded.slice(text_at..text_at + type_url.len()),
            value: encoded.slice(value_at..value_at + value.len()),
            encoded,
        }
    }

    /// Returns the memory of a packed message, in bytes.
    pub fn packed_size(type_url: &str, value: &[u8]) -> usize {
        /// Keys and lengths of both fields.
        const OVERHEAD: usize = 16;
        type_url.len() + value.len() + OVERHEAD
    }

    /// Finds the two fields of an encoded `google.protobuf.Any`, without copying them.
    pub fn parse(encoded: Bytes) -> Result<Self, Error> {
        let (mut type_url, mut value) = (Bytes::new(), Bytes::new());
        let mut rest = encoded.clone();
        while !rest.is_empty() {
            let (tag, wire_type) = encoding::decode_key(&mut rest).map_err(Error::Any)?;
            let field = match tag {
                TYPE_URL_FIELD => &mut type_url,
                VALUE_FIELD => &mut value,
                _ => {
                    encoding::skip_field(wire_type, tag, &mut rest, DecodeContext::default())
                        .map_err(Error::Any)?;
                    continue;
                }
            };
            encoding::bytes::merge(wire_type, field, &mut rest, DecodeContext::default())
                .map_err(Error::Any)?;
        }
        std::str::from_utf8(&type_url).map_err(|_| Error::Text)?;
        Ok(Self { encoded, type_url, value })
    }

    /// Returns the same payload with its bytes replaced by the result of `hold`, which must be equal.
    pub fn held(self, hold: impl FnOnce(Bytes) -> Bytes) -> Self {
        Self::parse(hold(self.encoded)).expect("the same bytes are a payload again")
    }

    /// The type URL: `type.googleapis.com/<full name>`.
    pub fn type_url(&self) -> &str {
        std::str::from_utf8(&self.type_url).expect("checked when it was made")
    }

    /// The message's full name: the type URL after its last slash.
    pub fn type_name(&self) -> &str {
        let url = self.type_url();
        url.rsplit_once('/').map_or(url, |(_, name)| name)
    }

    /// The encoded message.
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    /// The encoded `google.protobuf.Any`.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.type_url(), self.value.len())
    }
}

/// Writes one field of bytes. Returns the start of its content.
fn put_field(buffer: &mut BytesMut, tag: u32, content: &[u8]) -> usize {
    encoding::encode_key(tag, WireType::LengthDelimited, buffer);
    encoding::encode_varint(content.len() as u64, buffer);
    let start = buffer.len();
    buffer.put_slice(content);
    start
}

/// A time in nanoseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the milliseconds since `earlier`; 0 if the clock was set back in between.
    pub fn millis_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e6
    }
}

/// A stage that a request has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// The node; `None` is the entrypoint.
    pub node: Option<Name>,
    /// The start of the handler (or the entrypoint).
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
}

impl Tracking {
    /// What the entrypoint is called where nodes are named (docs/reference/krt-v1.md#entrypoint).
    pub const ENTRYPOINT: &str = "entrypoint";

    /// The name of the stage.
    pub fn name(&self) -> &str {
        self.node.as_ref().map_or(Self::ENTRYPOINT, Name::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message as _;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }

    proptest! {
        #[test]
        fn payloads_are_packed_like_protobuf(type_url in ".*", value: Vec<u8>) {
            let payload = Payload::pack(&type_url, &value);
            // Memory is reserved by this size before the message is packed.
            let (encoded, size) = (payload.encoded().len(), Payload::packed_size(&type_url, &value));
            prop_assert!((encoded..=encoded + 16).contains(&size), "{} bytes take {}", encoded, size);
            let any = Any::decode(payload.encoded().clone()).unwrap();
            prop_assert_eq!((&*any.type_url, &any.value), (&*type_url, &value));
            prop_assert_eq!(&Payload::parse(payload.encoded().clone()).unwrap(), &payload);
            prop_assert_eq!(payload.clone().held(|bytes| Bytes::copy_from_slice(&bytes)), payload);
        }

        #[test]
        fn payloads_are_parsed_like_protobuf(bytes: Vec<u8>) {
            let (ours, theirs) = (Payload::parse(bytes.clone().into()), Any::decode(&*bytes));
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    prop_assert_eq!((ours.type_url(), &ours.value()[..]), (&*theirs.type_url, &theirs.value[..]));
                }
                (ours, theirs) => prop_assert!(ours.is_err() && theirs.is_err()),
            }
        }
    }

    #[test]
    fn type_names() {
        assert_eq!(Payload::pack("type.googleapis.com/a.B", b"").type_name(), "a.B");
        assert_eq!(Payload::pack("a.B", b"").type_name(), "a.B");
    }

    #[test]
    fn a_payload_is_shown_without_its_content() {
        assert_eq!(format!("{:?}", Payload::pack("x/a.B", b"secret")), "x/a.B (6 bytes)");
    }

    #[test]
    fn times_between_stages() {
        let at = Timestamp;
        assert_eq!(at(3_500_000).millis_since(at(1_000_000)), 2.5);
        assert_eq!(at(1).millis_since(at(2)), 0.0);
    }

    #[test]
    fn stages_have_the_names_of_their_nodes() {
        let stage = |node| Tracking { node, start: Timestamp(0), end: Timestamp(0) };
        assert_eq!(stage(None).name(), "entrypoint");
        assert_eq!(stage(Some(Name::parse("etl").unwrap())).name(), "etl");
    }
}
