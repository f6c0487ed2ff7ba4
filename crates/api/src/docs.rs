//! A package's documentation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The package's `docs/README.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Docs {
    /// HTML that is safe to show as it is: no scripts, no foreign images; links to files of the package lead to
    /// this API.
    pub html: String,
    /// The text of the first heading.
    #[schema(required)]
    pub title: Option<String>,
}
