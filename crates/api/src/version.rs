//! Versions.

use crate::{Time, error::Problem, schema};
use krt_model::team::{State, VersionAction};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    #[schema(value_type = schema::State)]
    pub state: State,
    /// Why it is in ERROR; each may have several lines, such as a traceback.
    pub reasons: Vec<String>,
    /// The actions that its state allows.
    #[schema(value_type = Vec<schema::Action>)]
    pub actions: Vec<VersionAction>,
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
