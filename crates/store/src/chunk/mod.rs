//! Chunks: many points of one series in few bytes.
//!
//! A chunk stores its columns one after another: the times, then each field. Each column names its own
//! encoding, so a chunk is self-contained:
//!
//! | part | content |
//! | --- | --- |
//! | format | one byte, 1 |
//! | rows | varint |
//! | times | the first, then differences, as signed varints |
//! | columns | their number, as a varint |
//! | each column | its length in bytes (varint), name (16-bit size), encoding (one byte), whether rows lack it (one byte; if so, a bitmap of the rows that have it), values |
//!
//! The encodings suit a service's measurements. Request ids, which are UUIDs, take 10 bytes and the
//! difference of their first 48 bits; a repeated text is written once; a number of milliseconds that is a
//! whole number of nanoseconds takes two or three bytes. A general compressor on top gains little: most of
//! the rest is the random part of request ids.

mod column;
mod decode;
mod encode;

pub(crate) use decode::{Chunk, decode, numbers, numeric_fields};
pub(crate) use encode::Builder;

/// The only format so far.
const FORMAT: u8 = 1;
/// The most rows of a chunk.
const MAX_ROWS: usize = 16 << 10;
/// The most columns of a chunk.
const MAX_COLUMNS: usize = 1024;

/// The encodings of a column's values.
mod kind {
    pub(super) const TEXTS: u8 = 0;
    pub(super) const DICTIONARY: u8 = 1;
    pub(super) const UUIDS: u8 = 2;
    pub(super) const INTS: u8 = 3;
    pub(super) const FLOATS: u8 = 4;
    pub(super) const MILLIONTHS: u8 = 5;
    pub(super) const BOOLS: u8 = 6;
}

#[cfg(test)]
mod tests;
