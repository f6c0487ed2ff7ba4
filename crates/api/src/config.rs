//! The configuration of a version.

use crate::{Hidden, schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An entry of a version's configuration. Only managers see its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigEntry {
    /// The environment variable of nodes.
    pub name: String,
    /// `file`: the value is the content of a file, whose path nodes get.
    pub kind: ConfigKind,
    /// Whether it has a value.
    pub set: bool,
    /// The earlier version that the value is inherited from.
    #[schema(required, value_type = Option<schema::Name>)]
    pub inherited_from: Option<String>,
    /// The value; absent for viewers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub value: Option<Option<Hidden>>,
}

/// How nodes get a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConfigKind {
    /// As an environment variable.
    Variable,
    /// As a file.
    File,
}

/// A change of a version's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigChange {
    /// The values by name; `null` removes one.
    #[schema(schema_with = values)]
    pub values: BTreeMap<String, Option<Hidden>>,
    /// The reason, for the audit log.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub comment: String,
}

/// Tells `null` from a field that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Hidden>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn values() -> utoipa::openapi::Schema {
    use utoipa::openapi::{
        ObjectBuilder,
        schema::{AdditionalProperties, SchemaType, Type},
    };
    let value = SchemaType::Array(vec![Type::String, Type::Null]);
    let value = ObjectBuilder::new().schema_type(value).max_length(Some(128_000));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::RefOr(value.into())))
        .description(Some("The values by name; `null` removes one."))
        .into()
}
