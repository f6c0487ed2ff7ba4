//! The API's contract, which `krt_api` makes of its types.

/// The OpenAPI 3.1 document.
pub const DOCUMENT: &str = include_str!("../openapi.json");
