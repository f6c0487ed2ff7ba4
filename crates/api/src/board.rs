//! Saved boards of charts.

use crate::{Time, schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A saved board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Board {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its charts, kept as they were sent.
    #[schema(value_type = Vec<Chart>)]
    pub charts: Value,
    /// When it was saved.
    #[schema(value_type = schema::Time)]
    pub changed: Time,
    /// The user who saved it.
    pub changed_by: String,
}

/// The content of a board to save.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBoard {
    /// Its display name.
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// Its charts, kept as they are, also with fields that the server does not know.
    #[schema(value_type = Vec<Chart>, max_items = 50)]
    pub charts: Value,
}

/// A chart; the dashboard decides what it shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Chart {
    /// Its title.
    #[schema(max_length = 120)]
    pub title: String,
    /// The measurement.
    #[schema(max_length = 255)]
    pub measurement: String,
    /// The field.
    #[schema(max_length = 255)]
    pub field: String,
    /// The number drawn for each window.
    pub aggregation: Aggregation,
    /// Only points with these tags.
    #[serde(default)]
    #[schema(value_type = schema::Tags)]
    pub tags: BTreeMap<String, String>,
    /// Tags whose values are drawn apart.
    #[serde(default)]
    #[schema(schema_with = group_by)]
    pub group_by: Vec<String>,
    /// The unit.
    #[serde(default)]
    #[schema(max_length = 20)]
    pub unit: String,
    /// Its width, in twelfths of the board's.
    #[serde(default = "Chart::usual_width")]
    #[schema(value_type = u8, minimum = 1, maximum = 12)]
    pub width: f64,
}

impl Chart {
    /// Half the width of a board.
    fn usual_width() -> f64 {
        6.0
    }
}

/// The number drawn for each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Aggregation {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    P50,
    P95,
    P99,
}

fn group_by() -> utoipa::openapi::Schema {
    use utoipa::openapi::{ArrayBuilder, ObjectBuilder, schema::Type};
    let tag = ObjectBuilder::new().schema_type(Type::String).max_length(Some(255));
    ArrayBuilder::new()
        .items(tag)
        .max_items(Some(8))
        .description(Some("Tags whose values are drawn apart."))
        .into()
}
