//! The audit log.

use crate::{Time, schema};
use krt_model::team::AuditAction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number; later entries have greater ones.
    #[schema(minimum = 0)]
    pub id: i64,
    /// When it happened.
    #[schema(value_type = schema::Time)]
    pub time: Time,
    /// The author; `krt` for the server itself.
    pub login: String,
    /// The action.
    #[schema(value_type = schema::AuditAction)]
    pub action: AuditAction,
    /// The runtime.
    #[schema(required, value_type = Option<schema::Name>)]
    pub runtime: Option<String>,
    /// The version in it.
    #[schema(required, value_type = Option<schema::Name>)]
    pub version: Option<String>,
    /// The user, token or board.
    #[schema(required)]
    pub subject: Option<String>,
    /// The author's reason; may be empty.
    pub comment: String,
}

/// A page of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The entries, newest first.
    pub entries: Vec<AuditEntry>,
    /// The cursor of the next page.
    #[schema(required)]
    pub next: Option<String>,
}
