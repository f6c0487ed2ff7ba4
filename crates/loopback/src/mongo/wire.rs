//! Decodes and encodes messages of MongoDB's wire protocol
//! ([specification](https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/)).
//!
//! A command arrives as `OP_MSG`, or as `OP_QUERY` from drivers that do not know the server yet. A message is
//! checked before it is decoded: its size, its checksum, and the nesting of its documents.

use bson::{Document, RawBsonRef, RawDocument};

/// The largest message, in bytes (`maxMessageSizeBytes`).
pub(super) const MAX_MESSAGE: usize = 48_000_000;
/// The size of the header, in bytes.
pub(super) const HEADER: usize = 16;
/// The deepest nesting: a stored document within a command.
const MAX_DEPTH: usize = krt_store::MAX_DEPTH + 20;

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

const CHECKSUM_PRESENT: u32 = 1;
const MORE_TO_COME: u32 = 1 << 1;
/// Bits of `OP_MSG` that a reader must understand.
const REQUIRED_BITS: u32 = 0xffff;

/// The header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The size of the message with its header, in bytes.
    pub(super) size: usize,
    request_id: i32,
    op_code: i32,
}

/// A command, and the form of its reply.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// The command; document sequences are arrays in it.
    pub(super) body: Document,
    /// Its database.
    pub(super) database: String,
    /// The form of the reply; `None` if the client expects none.
    pub(super) reply: Option<Reply>,
}

/// The form of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply {
    request_id: i32,
    form: ReplyFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReplyFormat {
    /// `OP_MSG`.
    Message,
    /// `OP_REPLY`, which answers `OP_QUERY`.
    Old,
}

/// Why a message cannot be decoded. The connection must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("a message of {0} bytes, at most {MAX_MESSAGE} are read")]
    Size(usize),
    #[error("the opcode {0} is not supported")]
    OpCode(i32),
    #[error("the message ends too early")]
    Short,
    #[error("OP_MSG has the unknown flags {0:#x}")]
    Flags(u32),
    #[error("the checksum is wrong")]
    Checksum,
    #[error("a section of the unknown kind {0}")]
    Section(u8),
    #[error("OP_MSG has {0} bodies instead of one")]
    Bodies(usize),
    #[error("the body and a sequence of documents both have `{0}`")]
    Sequence(String),
    #[error("a document cannot be read: {0}")]
    Document(String),
    #[error("a document is nested deeper than {MAX_DEPTH} levels")]
    Depth,
    #[error("OP_QUERY reads `{0}`, which is no command")]
    Query(String),
}

impl Header {
    pub(super) fn parse(bytes: [u8; HEADER]) -> Result<Self, WireError> {
        let mut cursor = Cursor(&bytes);
        let size = cursor.i32()?;
        let request_id = cursor.i32()?;
        cursor.i32()?;
        let op_code = cursor.i32()?;
        let size = usize::try_from(size).unwrap_or(0);
        match size {
            HEADER..=MAX_MESSAGE => Ok(Self { size, request_id, op_code }),
            _ => Err(WireError::Size(size)),
        }
    }
}

impl Request {
    /// Decodes a message: its header, and the bytes after it.
    pub(super) fn parse(header: [u8; HEADER], rest: &[u8]) -> Result<Self, WireError> {
        let Header { request_id, op_code, .. } = Header::parse(header)?;
        match op_code {
            OP_MSG => message(&header, rest, request_id),
            OP_QUERY => query(rest, request_id),
            other => Err(WireError::OpCode(other)),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.body.keys().next().map_or("", String::as_str)
    }
}

fn message(header: &[u8], rest: &[u8], request_id: i32) -> Result<Request, WireError> {
    let mut cursor = Cursor(rest);
    let flags = cursor.u32()?;
    let unknown = flags & REQUIRED_BITS & !(CHECKSUM_PRESENT | MORE_TO_COME);
    if unknown != 0 {
        return Err(WireError::Flags(unknown));
    }
    if flags & CHECKSUM_PRESENT != 0 {
        cursor.0 = checked(header, rest, cursor.0)?;
    }
    let (mut bodies, mut sequences) = (Vec::new(), Vec::new());
    while !cursor.0.is_empty() {
        match cursor.u8()? {
            0 => bodies.push(cursor.document()?),
            1 => sequences.push(sequence(&mut cursor)?),
            kind => return Err(WireError::Section(kind)),
        }
    }
    let count = bodies.len();
    let (Some(mut body), 1) = (bodies.pop(), count) else { return Err(WireError::Bodies(count)) };
    for (name, documents) in sequences {
        if body.contains_key(&name) {
            return Err(WireError::Sequence(name));
        }
        body.insert(name, documents);
    }
    let database = body.get_str("$db").unwrap_or("admin").to_owned();
    let reply = (flags & MORE_TO_COME == 0).then_some(Reply { request_id, form: ReplyFormat::Message });
    Ok(Request { body, database, reply })
}

/// The sections before the checksum, which covers all bytes before it.
fn checked<'a>(header: &[u8], rest: &[u8], sections: &'a [u8]) -> Result<&'a [u8], WireError> {
    let (sections, sum) = sections.split_last_chunk().ok_or(WireError::Short)?;
    let to_integer = crc32c::crc32c_append(crc32c::crc32c(header), &rest[..rest.len() - sum.len()]);
    if to_integer != u32::from_le_bytes(*sum) {
        return Err(WireError::Checksum);
    }
    Ok(sections)
}

fn sequence(cursor: &mut Cursor<'_>) -> Result<(String, Vec<Document>), WireError> {
    let size = usize::try_from(cursor.i32()?).ok().and_then(|size| size.checked_sub(4));
    let mut section = Cursor(cursor.take(size.ok_or(WireError::Short)?)?);
    let name = section.text()?;
    let mut documents = Vec::new();
    while !section.0.is_empty() {
        documents.push(section.document()?);
    }
    Ok((name, documents))
}

fn query(rest: &[u8], request_id: i32) -> Result<Request, WireError> {
    let mut cursor = Cursor(rest);
    cursor.u32()?;
    let collection = cursor.text()?;
    // The numbers to skip and to return, which do not apply to a command.
    cursor.u32()?;
    cursor.u32()?;
    let mut body = cursor.document()?;
    let Some(database) = collection.strip_suffix(".$cmd").map(str::to_owned) else {
        return Err(WireError::Query(collection));
    };
    if let Ok(inner) = body.get_document_mut("$query") {
        body = std::mem::take(inner);
    }
    Ok(Request { body, database, reply: Some(Reply { request_id, form: ReplyFormat::Old }) })
}

impl Reply {
    pub(super) fn encode(self, reply: &Document, id: i32) -> Result<Vec<u8>, WireError> {
        let body = reply.to_vec().map_err(|error| WireError::Document(error.to_string()))?;
        let (op_code, before): (_, &[u8]) = match self.form {
            // No flags, and a section of kind 0.
            ReplyFormat::Message => (OP_MSG, &[0; 5]),
            // No flags, no cursor, from the start, one document.
            ReplyFormat::Old => (OP_REPLY, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
        };
        let size = HEADER + before.len() + body.len();
        let size_field = i32::try_from(size).map_err(|_| WireError::Size(size))?;
        let mut out = Vec::with_capacity(size);
        for number in [size_field, id, self.request_id, op_code] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(before);
        out.extend_from_slice(&body);
        Ok(out)
    }
}

/// The unread bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, size: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(size).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (chunk, rest) = self.0.split_first_chunk().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*chunk)
    }

    fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.chunk()?))
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.chunk()?))
    }

    fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_le_bytes(self.chunk()?))
    }

    /// A NUL-terminated text.
    fn text(&mut self) -> Result<String, WireError> {
        let end = self.0.iter().position(|&byte| byte == 0).ok_or(WireError::Short)?;
        let text = std::str::from_utf8(self.take(end)?).map_err(|_| WireError::Short)?;
        self.take(1)?;
        Ok(text.to_owned())
    }

    fn document(&mut self) -> Result<Document, WireError> {
        let size = self.0.first_chunk().map(|size| i32::from_le_bytes(*size)).ok_or(WireError::Short)?;
        let bytes = self.take(usize::try_from(size).map_err(|_| WireError::Short)?)?;
        let unreadable = |error: &dyn std::fmt::Display| WireError::Document(error.to_string());
        let raw = RawDocument::from_bytes(bytes).map_err(|error| unreadable(&error))?;
        check_depth(raw, 0)?;
        Document::try_from(raw).map_err(|error| unreadable(&error))
    }
}

/// Decoding recurses, so the depth is checked first.
fn check_depth(document: &RawDocument, depth: usize) -> Result<(), WireError> {
    if depth >= MAX_DEPTH {
        return Err(WireError::Depth);
    }
    for field in document.iter() {
        let (_, value) = field.map_err(|error| WireError::Document(error.to_string()))?;
        check_value(value, depth)?;
    }
    Ok(())
}

fn check_value(value: RawBsonRef<'_>, depth: usize) -> Result<(), WireError> {
    match value {
        RawBsonRef::Document(document) => check_depth(document, depth + 1),
        RawBsonRef::JavaScriptCodeWithScope(code) => check_depth(code.scope, depth + 1),
        RawBsonRef::Array(_) if depth + 1 >= MAX_DEPTH => Err(WireError::Depth),
        RawBsonRef::Array(array) => array.into_iter().try_for_each(|element| {
            let element = element.map_err(|error| WireError::Document(error.to_string()))?;
            check_value(element, depth + 1)
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
