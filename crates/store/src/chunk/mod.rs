//! Chunks: many points of one series as a few bytes.
//!
//! A chunk holds its columns one after the other: the times, then each field. It says itself how
//! each is encoded, so a chunk can be read without anything else:
//!
//! | part | what |
//! | --- | --- |
//! | format | one byte, 1 |
//! | rows | varint |
//! | times | the first and then differences, signed varints |
//! | columns | varint: how many |
//! | each column | bytes that follow (varint), name (16-bit size), encoding (one byte), whether rows lack it (one byte; if so a bitmap of those that have it), values |
//!
//! Encodings are chosen for what a service measures. Request ids, which are UUIDs, take 10 bytes and
//! the difference of their first 48 bits; a text that repeats is written once; a number of
//! milliseconds that is a whole number of nanoseconds takes two or three bytes. A general compressor
//! behind this gains little: what is left is mostly the random part of request ids.

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

/// How a column's values are written.
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
