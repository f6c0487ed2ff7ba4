//! The JSON Schema of `krt.yml`: what each key is for and which values it takes.
//!
//! Editors complete and check with it, and the reference of `krt.yml` in the documentation is made from it. It says
//! what can be checked within the file and without comparing its parts.

/// The schema, draft 2020-12. Keys that begin with `x-` are for the reference.
pub const JSON_SCHEMA: &str = include_str!("krt.schema.json");

#[cfg(test)]
pub(super) mod tests;
