//! Live events.

use crate::{Time, schema};
use krt_model::team::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change. The name of the server-sent event is `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// What changed.
    pub kind: EventKind,
    /// The runtime.
    #[schema(required, value_type = Option<schema::Name>)]
    pub runtime: Option<String>,
    /// The version in it.
    #[schema(required, value_type = Option<schema::Name>)]
    pub version: Option<String>,
    /// The version's new state.
    #[schema(required, value_type = Option<schema::State>)]
    pub state: Option<State>,
    /// When it changed.
    #[schema(value_type = schema::Time)]
    pub time: Time,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A runtime.
    Runtime,
    /// A version.
    Version,
    /// A version's configuration.
    Config,
    /// A board.
    Board,
    /// A user.
    User,
    /// A token.
    Token,
    /// A runtime or a version was deleted.
    Deleted,
}

impl EventKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Version => "version",
            Self::Config => "config",
            Self::Board => "board",
            Self::User => "user",
            Self::Token => "token",
            Self::Deleted => "deleted",
        }
    }
}

/// The data of the last event of a stream, named `end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why the stream ends.
    pub reason: String,
}
