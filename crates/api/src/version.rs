//! Versions.

use crate::{Time, error::Problem, schema};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// The state of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Uploaded, never started.
    Created,
    /// Its nodes are being started.
    Starting,
    /// It runs, for holders of a token.
    Started,
    /// It runs, for all clients of its runtime.
    Published,
    /// It finishes what is in flight, and ends.
    Stopping,
    /// It does not run.
    Stopped,
    /// It failed; its reasons say why.
    Error,
}

impl State {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Starting => "STARTING",
            Self::Started => "STARTED",
            Self::Published => "PUBLISHED",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An action on a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Route its runtime's clients to it.
    Publish,
    /// Stop routing them to it.
    Unpublish,
    /// Delete it.
    Delete,
}

/// A version of a runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Its name, as in its `krt.yml`.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// Its runtime.
    #[schema(value_type = schema::Name)]
    pub runtime: String,
    /// Its purpose.
    pub description: String,
    /// Its state.
    pub state: State,
    /// Why it is in ERROR; each may have several lines, such as a traceback.
    pub reasons: Vec<String>,
    /// The actions that its state allows.
    pub actions: Vec<Action>,
    /// When it was uploaded.
    #[schema(value_type = schema::Time)]
    pub created: Time,
    /// The user who uploaded it.
    pub created_by: String,
    /// When its state last changed.
    #[schema(value_type = schema::Time)]
    pub changed: Time,
    /// When it was last published.
    #[schema(required, value_type = Option<schema::Time>)]
    pub published_at: Option<Time>,
    /// The user who published it.
    #[schema(required)]
    pub published_by: Option<String>,
    /// The size of its package as uploaded, in bytes.
    pub package_bytes: u64,
    /// Names of configuration without a value; it starts only when there are none.
    pub missing_config: Vec<String>,
    /// Findings in its package that do not prevent it from running.
    pub warnings: Vec<Problem>,
    /// Its number of nodes.
    pub nodes: u32,
    /// Its number of workflows.
    pub workflows: u32,
    /// Whether its package has documentation.
    pub has_docs: bool,
}

/// The reason for a change, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// The reason; may be empty.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub comment: String,
}
