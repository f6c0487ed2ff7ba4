//! The types of KRT v1 and the decisions over them: pure, without I/O or a clock.
//!
//! - [`address`]: where a server is, without its secrets wherever it is shown.
//! - [`certificate`]: what to do about a server's certificate that is refused.
//! - [`duration`]: durations as people write them.
//! - [`escape`]: text of others, as people may see it.
//! - [`hint`]: an error as text, with what to do about it.
//! - [`language`]: the languages of nodes.
//! - [`log`]: the severity of a log record.
//! - [`metadata`]: what a client sends beside its message.
//! - [`name`]: names and ids that cannot hold a bad value.
//! - [`version`]: the description of a checked package: nodes and workflows.
//! - [`message`]: payload, tracking and time.
//! - [`outcome`]: decides on a handler's result.
//! - [`request`]: the record of a request, with the calls of handlers.
//! - [`severity`]: how bad a problem with a package is.
//! - [`team`]: roles, states of versions and actions of a team's server.
//! - [`time`]: times as the API and people see them.
//! - [`text`]: decodes the text of files and requests, in several encodings.

pub mod address;
pub mod certificate;
pub mod duration;
pub mod escape;
pub mod hint;
pub mod language;
pub mod log;
pub mod message;
pub mod metadata;
pub mod name;
pub mod outcome;
pub mod priority;
pub mod request;
pub mod severity;
pub mod team;
pub mod text;
pub mod time;
pub mod version;
