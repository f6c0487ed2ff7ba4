//! Documents as text: [MongoDB Extended JSON v2](https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/).
//!
//! Reading takes the canonical and the relaxed form, keeps the order of fields, and says which field
//! is wrong. Writing gives the relaxed form, straight from BSON. The library's own reader is not used
//! because it makes every negative integer 64 bits wide and passes over what stands beside an
//! `$oid`.

mod extended;
mod read;
mod write;

pub use read::{JsonError, parse_document};
pub use write::{to_json, value_text};

#[cfg(test)]
mod tests;
