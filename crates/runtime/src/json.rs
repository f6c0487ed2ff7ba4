//! Proto3 JSON: converts messages of types known only at run time to JSON and back.
//!
//! Both directions work on the bytes of the message. A message object in between, whose fields are known by
//! name only at run time, would lose a negative zero and the order of a map, and cost time. The format is
//! that of Google's implementation in Python; `docs/json.md` lists the differences and their reasons.
//!
//! - `scan`, `number`: a text and its numbers; `fault`: an error, and its place.
//! - `read`: JSON to bytes. `write`: bytes to JSON. `wire`: the bytes themselves.
//! - `shape`: the type and cardinality of a field. `structure`, `time`, `mask`: messages with their own JSON.

pub(crate) mod fault;
mod mask;
pub(crate) mod number;
pub(crate) mod out;
mod read;
pub(crate) mod scan;
mod shape;
mod structure;
mod time;
pub(crate) mod wire;
mod write;

use crate::memory::{Pool, Refused, Reservation};
use bytes::Bytes;
use fault::PathFault;
use out::Out;
use prost_reflect::MessageDescriptor;
use read::Reader;
use scan::Scanner;
use write::Writer;

pub use fault::{Fault, LocatedFault};
pub(crate) use read::scalar::base64;
pub(crate) use shape::{enum_name, is_closed};
pub(crate) use write::scalar::{Scalar, unpack};

/// Why there is no message, or no JSON.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The JSON is invalid, or does not match the type.
    #[error("not a {name}{}", DisplayPath(.at))]
    Parse {
        /// The full name of the type.
        name: String,
        /// The field, such as `items[2].price`.
        at: String,
        /// The error.
        source: LocatedFault,
    },
    /// The bytes are not a message of the type.
    #[error("not a {name}{}", DisplayPath(.at))]
    Decode {
        /// The full name of the type.
        name: String,
        /// The field.
        at: String,
        /// The error.
        source: Fault,
    },
    /// It needs more memory than allowed.
    #[error(transparent)]
    Refused(Refused),
    /// The message has a value that proto3 JSON cannot express, such as an `Any` of an unknown type.
    #[error("a {name} that JSON cannot say{}", DisplayPath(.at))]
    Write {
        /// The full name of the type.
        name: String,
        /// The field.
        at: String,
        /// The error.
        source: Fault,
    },
}

/// The format of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Fields have the names in the `.proto`, such as `room_type`, rather than `roomType`.
    pub proto_names: bool,
    /// 64-bit integers are numbers rather than strings.
    pub bare_longs: bool,
    /// Fields without presence appear even with their default.
    pub defaults: bool,
    /// Numbers of a `Struct` have the digits that a node of plain data gave them.
    pub exact: bool,
    /// Each member and each item is on its own line.
    pub indent: bool,
}

impl Format {
    /// The format for clients.
    pub const WIRE: Self =
        Self { proto_names: false, bare_longs: false, defaults: false, exact: false, indent: false };
    /// The format for handlers of nodes with plain data.
    pub const PLAIN: Self =
        Self { proto_names: true, bare_longs: true, defaults: true, exact: true, indent: false };
}

/// Limits of a conversion: the size of its output, and its total memory.
#[derive(Debug)]
pub struct Bounds {
    /// The largest output, in bytes.
    pub limit: usize,
    /// The reservation of its memory; the output keeps its part.
    pub reservation: Reservation,
}

impl Bounds {
    /// No limits, for work outside of serving clients.
    pub fn none() -> Self {
        Self { limit: usize::MAX, reservation: Pool::unlimited().reserve() }
    }
}

/// Encodes a message from JSON.
pub fn parse(kind: &MessageDescriptor, text: &[u8], bounds: Bounds) -> Result<Bytes, Error> {
    read(kind.full_name(), text, bounds, |reader, out| reader.whole(kind, out))
}

/// Writes an encoded message as JSON.
pub fn write(
    kind: &MessageDescriptor,
    message: &[u8],
    format: Format,
    bounds: Bounds,
) -> Result<Bytes, Error> {
    let written = Writer::new(&format, out(bounds)).whole(kind, message);
    written.map_err(|error| unwritten(kind.full_name(), *error))
}

/// The full name of the message that [`parse_struct`] encodes.
pub const STRUCT: &str = "google.protobuf.Struct";

/// Encodes a JSON object as a `google.protobuf.Struct` whose numbers [`write_struct`] restores digit by
/// digit.
pub fn parse_struct(text: &[u8], bounds: Bounds) -> Result<Bytes, Error> {
    read(STRUCT, text, bounds, Reader::whole_struct)
}

/// Writes an encoded `google.protobuf.Struct` as JSON.
pub fn write_struct(message: &[u8], format: Format, bounds: Bounds) -> Result<Bytes, Error> {
    let written = Writer::new(&format, out(bounds)).whole_struct(message);
    written.map_err(|error| unwritten(STRUCT, *error))
}

fn out(bounds: Bounds) -> Out {
    Out::new(bounds.reservation, bounds.limit)
}

fn read<'t>(
    name: &str,
    text: &'t [u8],
    bounds: Bounds,
    read: impl FnOnce(&mut Reader<'t>, &mut Out) -> fault::Result<()>,
) -> Result<Bytes, Error> {
    let mut out = out(bounds);
    let mut reader = Reader::new(scan(name, text)?);
    let escapes = out.held.take(reader.escapes());
    let read = escapes.map_err(Box::from).and_then(|()| read(&mut reader, &mut out));
    let read = read.and_then(|()| Ok(out.check()?));
    read.map_err(|error| unread(name, *error, reader.place()))?;
    Ok(out.finish())
}

fn scan<'t>(name: &str, text: &'t [u8]) -> Result<Scanner<'t>, Error> {
    Scanner::new(text).map_err(|error| unread(name, *error, (1, 1)))
}

fn unread(name: &str, error: PathFault, (line, column): (usize, usize)) -> Error {
    let at = error.at();
    if let Fault::Refused(refused) = error.fault {
        return Error::Refused(refused);
    }
    let source = LocatedFault { fault: error.fault, line, column };
    Error::Parse { name: name.to_owned(), at, source }
}

fn unwritten(name: &str, error: PathFault) -> Error {
    let (name, at, source) = (name.to_owned(), error.at(), error.fault);
    match source {
        Fault::Refused(refused) => Error::Refused(refused),
        source if source.is_of_bytes() => Error::Decode { name, at, source },
        source => Error::Write { name, at, source },
    }
}

/// The place of an error; empty for the whole message.
struct DisplayPath<'a>(&'a str);

impl std::fmt::Display for DisplayPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "" => Ok(()),
            at => write!(f, ": field `{at}`"),
        }
    }
}

#[cfg(test)]
mod tests;
