//! Log records.

use crate::{Time, schema};
use krt_model::log::Level;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A log record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Log {
    /// Its number; later records have greater ones.
    #[schema(minimum = 0)]
    pub id: i64,
    /// When it was made.
    #[schema(value_type = schema::Time)]
    pub time: Time,
    /// Its severity.
    #[schema(value_type = schema::Level)]
    pub level: Level,
    /// The version.
    pub version: String,
    /// The workflow.
    #[schema(required)]
    pub workflow: Option<String>,
    /// The node; `null` for the engine.
    #[schema(required)]
    pub node: Option<String>,
    /// The id of the request.
    #[schema(required)]
    pub request: Option<String>,
    /// The text; may have several lines.
    pub message: String,
}

/// A page of log records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    /// The records, newest first.
    pub logs: Vec<Log>,
    /// The cursor of the page of older records.
    #[schema(required)]
    pub next: Option<String>,
}
