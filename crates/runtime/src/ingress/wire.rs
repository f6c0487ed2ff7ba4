//! Checks that bytes are a message of a type, without building it.

use prost::{
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// Maximum nesting of messages, as in other implementations of protobuf.
const MAX_DEPTH: usize = 100;

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("not a protobuf message")]
    Malformed,
    #[error("field `{field}` has wire type {found:?}")]
    WireType { field: String, found: WireType },
    #[error("field `{field}` is cut short")]
    Short { field: String },
    #[error("field `{field}` is not UTF-8")]
    Text { field: String },
    #[error("it is more than {MAX_DEPTH} messages deep")]
    Deep,
}

/// Checks that bytes are a message of a type: each known field has the right form.
pub(super) fn check(message: &[u8], kind: &MessageDescriptor) -> Result<(), Fault> {
    walk(message, kind, MAX_DEPTH)
}

fn walk(mut rest: &[u8], kind: &MessageDescriptor, depth: usize) -> Result<(), Fault> {
    let depth = depth.checked_sub(1).ok_or(Fault::Deep)?;
    while !rest.is_empty() {
        let (number, found) = decode_key(&mut rest).map_err(|_| Fault::Malformed)?;
        match kind.get_field(number) {
            Some(field) => check_field(&mut rest, &field, found, depth)?,
            None => skip_field(found, number, &mut rest, DecodeContext::default())
                .map_err(|_| Fault::Malformed)?,
        }
    }
    Ok(())
}

fn check_field(
    rest: &mut &[u8],
    field: &FieldDescriptor,
    found: WireType,
    depth: usize,
) -> Result<(), Fault> {
    let kind = field.kind();
    let short = || Fault::Short { field: field.full_name().to_owned() };
    let expected = if field.is_group() { WireType::StartGroup } else { kind.wire_type() };
    let packable = field.is_list() && !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_));
    if found != expected && !(packable && found == WireType::LengthDelimited) {
        return Err(Fault::WireType { field: field.full_name().to_owned(), found });
    }
    match found {
        WireType::LengthDelimited => {
            let size =
                decode_varint(rest).ok().and_then(|size| usize::try_from(size).ok()).ok_or_else(short)?;
            let content = rest.split_off(..size).ok_or_else(short)?;
            check_content(content, field, &kind, depth)
        }
        WireType::Varint => decode_varint(rest).map(drop).map_err(|_| short()),
        WireType::ThirtyTwoBit => rest.split_off(..4).map(drop).ok_or_else(short),
        WireType::SixtyFourBit => rest.split_off(..8).map(drop).ok_or_else(short),
        WireType::StartGroup | WireType::EndGroup => {
            skip_field(found, field.number(), rest, DecodeContext::default()).map_err(|_| short())
        }
    }
}

fn check_content(content: &[u8], field: &FieldDescriptor, kind: &Kind, depth: usize) -> Result<(), Fault> {
    let name = || field.full_name().to_owned();
    match kind {
        Kind::Message(message) => walk(content, message, depth),
        Kind::String => std::str::from_utf8(content).map(drop).map_err(|_| Fault::Text { field: name() }),
        Kind::Bytes => Ok(()),
        packed => check_packed(content, packed).ok_or_else(|| Fault::Short { field: name() }),
    }
}

fn check_packed(mut content: &[u8], kind: &Kind) -> Option<()> {
    match kind.wire_type() {
        WireType::ThirtyTwoBit => (content.len().is_multiple_of(4)).then_some(()),
        WireType::SixtyFourBit => (content.len().is_multiple_of(8)).then_some(()),
        _ => {
            while content.has_remaining() {
                decode_varint(&mut content).ok()?;
            }
            Some(())
        }
    }
}

#[cfg(test)]
mod tests;
