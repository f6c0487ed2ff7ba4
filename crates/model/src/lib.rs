//! The types of KRT v1 and the decisions over them: pure, without I/O or a clock.
//!
//! - [`address`]: where a server is, without its secrets wherever it is shown.
//! - [`certificate`]: what to do about a server's certificate that is refused.
//! - [`escape`]: text of others, as people may see it.
//! - [`language`]: the languages of nodes.
//! - [`name`]: names and ids that cannot hold a bad value.
//! - [`version`]: the description of a checked package: nodes and workflows.
//! - [`message`]: payload, tracking and time.
//! - [`outcome`]: decides on a handler's result.
//! - [`text`]: decodes the text of files and requests, in several encodings.

pub mod address;
pub mod certificate;
pub mod escape;
pub mod language;
pub mod message;
pub mod name;
pub mod outcome;
pub mod text;
pub mod version;
