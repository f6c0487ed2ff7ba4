//! Encodes a pool as a `FileDescriptorSet`: one that is compatible with generated code, or a small one with comments.
//!
//! A process may load a file both from generated code and from here, and protobuf accepts the second only if
//! it equals the first. Generated code has no `source_code_info`, and a `json_name` only where the author
//! wrote one. Removes these fields from the encoded files, since decoding would lose the authors' own
//! options.
//!
//! The compiler records where each name and number of a file stands, which takes several times the memory of the rest.
//! After it only comments are of use.

use prost_reflect::DescriptorPool;
use std::borrow::Cow;

/// A message of `descriptor.proto`: selects fields to descend into and to remove.
#[derive(Clone, Copy)]
enum Kind {
    File,
    Message,
    Field,
    /// A file of which everything stays besides locations without a comment.
    CommentedFile,
    SourceCodeInfo,
}

impl Kind {
    /// The kind of the message in a field, if it may contain fields to remove.
    fn inner(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::File, 4) | (Self::Message, 3) => Some(Self::Message),
            (Self::File, 7) | (Self::Message, 2 | 6) => Some(Self::Field),
            (Self::CommentedFile, FILE_SOURCE_CODE_INFO) => Some(Self::SourceCodeInfo),
            _ => None,
        }
    }
}

const FILE_SOURCE_CODE_INFO: u64 = 9;
const FIELD_NAME: u64 = 1;
const FIELD_JSON_NAME: u64 = 10;
const SOURCE_CODE_INFO_LOCATION: u64 = 1;
const LOCATION_COMMENTS: [u64; 2] = [3, 4];

/// The files of a pool as generated code has them, each after its imports.
pub(super) fn descriptor_set(pool: &DescriptorPool) -> Vec<u8> {
    encode(pool, Kind::File)
}

/// The files of a pool with their comments, each after its imports.
pub(super) fn commented_set(pool: &DescriptorPool) -> Vec<u8> {
    encode(pool, Kind::CommentedFile)
}

fn encode(pool: &DescriptorPool, kind: Kind) -> Vec<u8> {
    let mut set = Vec::new();
    for file in pool.files() {
        let encoded = file.encode_to_vec();
        let stripped = strip(&encoded, kind).map_or(Cow::Borrowed(&encoded), Cow::Owned);
        put(&mut set, 1, &stripped);
    }
    set
}

/// The message without the removed fields; `None` if it is malformed, which the compiler's output never is.
fn strip(message: &[u8], kind: Kind) -> Option<Vec<u8>> {
    let default = default_json_name(message)?;
    let mut out = Vec::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let before = rest;
        let (field, content) = next(&mut rest)?;
        match (kind, field, content) {
            (Kind::File, FILE_SOURCE_CODE_INFO, _) => {}
            (Kind::Field, FIELD_JSON_NAME, Some(name)) if name == default.as_bytes() => {}
            (Kind::SourceCodeInfo, SOURCE_CODE_INFO_LOCATION, Some(location)) if !has_comment(location)? => {}
            (_, field, Some(content)) => match kind.inner(field) {
                Some(inner) => put(&mut out, field, &strip(content, inner)?),
                None => put(&mut out, field, content),
            },
            (_, _, None) => out.extend_from_slice(&before[..before.len() - rest.len()]),
        }
    }
    Some(out)
}

/// Whether a location has a comment before or after its element.
fn has_comment(mut location: &[u8]) -> Option<bool> {
    while !location.is_empty() {
        if LOCATION_COMMENTS.contains(&next(&mut location)?.0) {
            return Some(true);
        }
    }
    Some(false)
}

/// The `json_name` that protoc derives from a field's name: without `_`, and with the next letter
/// capitalized.
fn default_json_name(message: &[u8]) -> Option<String> {
    let mut rest = message;
    let mut name = &[][..];
    while !rest.is_empty() {
        if let (FIELD_NAME, Some(content)) = next(&mut rest)? {
            name = content;
        }
    }
    let mut capital = false;
    let mut out = String::new();
    for c in String::from_utf8_lossy(name).chars() {
        match c {
            '_' => capital = true,
            c => out.push(if std::mem::take(&mut capital) { c.to_ascii_uppercase() } else { c }),
        }
    }
    Some(out)
}

/// The next field's number and, if it is length-delimited, its content.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(rest)?;
    let skip = match key & 7 {
        0 => {
            varint(rest)?;
            0
        }
        1 => 8,
        5 => 4,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (content, after) = rest.split_at_checked(length)?;
            *rest = after;
            return Some((key >> 3, Some(content)));
        }
        _ => return None,
    };
    *rest = rest.get(skip..)?;
    Some((key >> 3, None))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn put(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests;
