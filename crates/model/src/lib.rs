//! The nouns of KRT v1 and the decisions over them: pure, without I/O or a clock.
//!
//! - [`address`]: where a server is, without its secrets wherever it is shown.
//! - [`name`]: names and ids that cannot hold a bad value.
//! - [`version`]: what a checked package describes: nodes and workflows.
//! - [`message`]: what travels: payload, tracking, envelope.
//! - [`outcome`]: the judgement of a handler's result.

pub mod address;
pub mod message;
pub mod name;
pub mod outcome;
pub mod version;
