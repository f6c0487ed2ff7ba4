//! The key of a request in the cache of its workflow: a digest of its message and of what its client sent beside it.
//!
//! Encoders differ in the order of fields and of a map's entries, in default values, and in the form of repeated numbers.
//! The digest is the same for all of these, without building the message. It never is for messages that differ. For other
//! forms of the same message, which no encoder writes, it may differ: such a request runs its handlers.

use crate::flow::CacheKey;
use krt_model::metadata::Metadata;
use prost::{
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use sha2::{Digest as _, Sha256};

/// The most fields of a message that are put in order, with those of the messages in it. They take some 4 MiB.
const MAX_FIELDS: usize = 1 << 16;

/// What stands before a part in the digest.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    /// The end of a message.
    End,
    /// A value as it was sent.
    Value,
    /// Repeated numbers, in one.
    Numbers,
    /// A message.
    Message,
    /// An entry of a map.
    Entry,
    /// Bytes in a form that no encoder writes, or of an unknown field.
    Raw,
}

/// Returns the key of a request, whose message [`super::wire`] has checked.
pub(super) fn key(message: &[u8], kind: &MessageDescriptor, metadata: &Metadata) -> CacheKey {
    let mut digest = Parts { hash: Sha256::new(), fields_left: MAX_FIELDS };
    for (name, values) in metadata.iter() {
        for value in values {
            digest.bytes(name.as_str().as_bytes());
            digest.bytes(value.as_bytes());
        }
    }
    digest.tag(Tag::End);
    let mut ordered = Parts { hash: digest.hash.clone(), ..digest };
    if ordered.message(message, kind).is_none() {
        ordered = digest;
        ordered.tag(Tag::Raw);
        ordered.bytes(message);
    }
    CacheKey::new(ordered.hash.finalize().into())
}

/// The parts of a message, in an order of their own. A part begins with its tag, and has its length where it has no end.
struct Parts {
    hash: Sha256,
    fields_left: usize,
}

/// A field in an encoded message.
struct Field<'a> {
    /// Fields of one group stay in order: those of a oneof, of which the last one counts, and unknown ones.
    group: u32,
    number: u32,
    wire: WireType,
    /// Without its length.
    content: &'a [u8],
    known: Option<FieldDescriptor>,
}

impl Parts {
    /// Adds a message; `None` if it has too many fields.
    fn message(&mut self, message: &[u8], kind: &MessageDescriptor) -> Option<()> {
        let mut fields = self.fields(message, kind)?;
        fields.sort_by_key(|field| field.group);
        for group in fields.chunk_by(|one, other| one.group == other.group) {
            self.group(group)?;
        }
        self.tag(Tag::End);
        Some(())
    }

    /// Finds the fields of a message.
    fn fields<'a>(&mut self, mut rest: &'a [u8], kind: &MessageDescriptor) -> Option<Vec<Field<'a>>> {
        let mut fields: Vec<Field<'a>> = Vec::new();
        while !rest.is_empty() {
            self.fields_left = self.fields_left.checked_sub(1)?;
            let (number, wire) = decode_key(&mut rest).ok()?;
            let content = content(&mut rest, number, wire)?;
            let (group, known) = match fields.last() {
                Some(last) if last.number == number => (last.group, last.known.clone()),
                _ => {
                    let known = kind.get_field(number);
                    (known.as_ref().map_or(u32::MAX, group), known)
                }
            };
            fields.push(Field { group, number, wire, content, known });
        }
        Some(fields)
    }

    /// Adds the fields of one group, in order.
    fn group(&mut self, fields: &[Field<'_>]) -> Option<()> {
        let [.., last] = fields else { return Some(()) };
        let Some(known) = &last.known else {
            self.raw(fields);
            return Some(());
        };
        let kind = known.kind();
        if known.is_map() {
            return self.map(fields, &kind);
        }
        if known.is_list() {
            return self.list(fields, &kind);
        }
        match kind {
            Kind::Message(kind) if fields.len() == 1 && !known.is_group() => {
                self.field(last.number, Tag::Message);
                self.message(last.content, &kind)?;
            }
            Kind::Message(_) => self.raw(fields),
            _ if fields.iter().any(|field| field.number != last.number) => self.raw(fields),
            // The last value counts. Without presence, the default is the same as no value.
            kind if !known.supports_presence() && is_default(last.content, &kind) => {}
            _ => {
                self.field(last.number, Tag::Value);
                self.bytes(last.content);
            }
        }
        Some(())
    }

    fn list(&mut self, fields: &[Field<'_>], kind: &Kind) -> Option<()> {
        match kind {
            Kind::Message(_) if fields.iter().any(|field| field.wire == WireType::StartGroup) => {
                self.raw(fields);
            }
            Kind::Message(kind) => {
                for field in fields {
                    self.field(field.number, Tag::Message);
                    self.message(field.content, kind)?;
                }
            }
            Kind::String | Kind::Bytes => {
                for field in fields {
                    self.field(field.number, Tag::Value);
                    self.bytes(field.content);
                }
            }
            _ => {
                let size: usize = fields.iter().map(|field| field.content.len()).sum();
                if size > 0 {
                    self.field(fields[0].number, Tag::Numbers);
                    self.size(size);
                    fields.iter().for_each(|field| self.hash.update(field.content));
                }
            }
        }
        Some(())
    }

    /// Adds the entries of a map, by their keys. Entries of one key stay in order: the last one counts.
    fn map(&mut self, fields: &[Field<'_>], kind: &Kind) -> Option<()> {
        let Kind::Message(kind) = kind else { return None };
        let key_kind = kind.map_entry_key_field().kind();
        let mut entries = Vec::with_capacity(fields.len());
        for field in fields {
            let parts = self.fields(field.content, kind)?;
            let key = parts.iter().rfind(|part| part.number == 1);
            entries.push((map_key(key.map(|key| key.content), &key_kind)?, parts, field));
        }
        entries.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        for (key, parts, field) in entries {
            let count = |number| parts.iter().filter(|part| part.number == number).count();
            if count(1) > 1 || count(2) > 1 || count(1) + count(2) < parts.len() {
                self.raw(std::slice::from_ref(field));
                continue;
            }
            self.field(field.number, Tag::Entry);
            self.bytes(&key);
            let value = parts.iter().find(|part| part.number == 2).map_or(&[][..], |part| part.content);
            match kind.map_entry_value_field().kind() {
                Kind::Message(kind) => self.message(value, &kind)?,
                // The default of an enum may be another number than 0.
                Kind::Enum(_) => self.bytes(value),
                kind if is_default(value, &kind) => self.bytes(&[]),
                _ => self.bytes(value),
            }
        }
        Some(())
    }

    fn raw(&mut self, fields: &[Field<'_>]) {
        for field in fields {
            self.field(field.number, Tag::Raw);
            self.hash.update([field.wire as u8]);
            self.bytes(field.content);
        }
    }

    fn field(&mut self, number: u32, tag: Tag) {
        self.tag(tag);
        self.hash.update(number.to_le_bytes());
    }

    fn tag(&mut self, tag: Tag) {
        self.hash.update([tag as u8]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.size(bytes.len());
        self.hash.update(bytes);
    }

    fn size(&mut self, size: usize) {
        self.hash.update((size as u64).to_le_bytes());
    }
}

/// Takes the content of a field off the front.
fn content<'a>(rest: &mut &'a [u8], number: u32, wire: WireType) -> Option<&'a [u8]> {
    if wire == WireType::LengthDelimited {
        let size = usize::try_from(decode_varint(rest).ok()?).ok()?;
        return rest.split_off(..size);
    }
    let before = *rest;
    skip_field(wire, number, rest, DecodeContext::default()).ok()?;
    before.get(..before.len() - rest.remaining())
}

fn group(field: &FieldDescriptor) -> u32 {
    let oneof = field.containing_oneof();
    let first = oneof.and_then(|oneof| oneof.fields().map(|field| field.number()).min());
    first.unwrap_or_else(|| field.number())
}

/// Returns whether a value, without its length, is that of a field that was not sent.
fn is_default(content: &[u8], kind: &Kind) -> bool {
    match kind.wire_type() {
        WireType::LengthDelimited => content.is_empty(),
        _ => content.iter().all(|&byte| byte == 0),
    }
}

/// The key of a map's entry, as its decoder sees it; a missing one is the default.
fn map_key(content: Option<&[u8]>, kind: &Kind) -> Option<Vec<u8>> {
    let content = content.unwrap_or_default();
    if matches!(kind, Kind::String) {
        return Some(content.to_vec());
    }
    let number = match (kind.wire_type(), content) {
        (_, []) => 0,
        (WireType::Varint, mut varint) => decode_varint(&mut varint).ok()?,
        (_, fixed) => fixed.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    };
    let number = match kind {
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 => number & u64::from(u32::MAX),
        Kind::Bool => u64::from(number != 0),
        _ => number,
    };
    Some(number.to_le_bytes().to_vec())
}

#[cfg(test)]
mod tests;
