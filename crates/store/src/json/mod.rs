//! Documents as text: [MongoDB Extended JSON
//! v2](https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/).
//!
//! The reader accepts the canonical and the relaxed form, keeps the order of fields, and names the wrong
//! field in errors. The writer emits the relaxed form, straight from BSON. The library's own reader does not
//! fit: it makes every negative integer 64 bits wide and ignores fields beside an `$oid`.

mod extended;
mod read;
mod write;

pub use read::{JsonError, parse_document};
pub use write::{to_json, value_text};

#[cfg(test)]
mod tests;
