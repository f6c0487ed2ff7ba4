//! Runtimes.

use crate::{Time, schema};
use krt_model::team::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A runtime: it holds versions, of which at most one is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Runtime {
    /// Its id.
    #[schema(value_type = schema::Name)]
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its purpose.
    pub description: String,
    /// When it was created.
    #[schema(value_type = schema::Time)]
    pub created: Time,
    /// The version that its clients reach.
    #[schema(required, value_type = Option<schema::Name>)]
    pub published: Option<String>,
    /// Host names that lead clients to it on the public port, beside the metadata `krt-runtime`.
    pub hosts: Vec<String>,
    /// How many versions it has.
    pub versions: u32,
    /// The number of versions by state.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub states: BTreeMap<State, u32>,
}

/// A runtime to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRuntime {
    /// Its id.
    #[schema(value_type = schema::Name)]
    pub id: String,
    /// Its display name.
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// Its purpose.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: String,
    /// Host names that lead clients to it.
    #[serde(default)]
    #[schema(schema_with = hosts)]
    pub hosts: Vec<String>,
    /// The reason, for the audit log.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub comment: String,
}

/// Changes of a runtime; fields that are absent or `null` stay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuntimeChange {
    /// The display name.
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    /// The purpose.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// Host names that lead clients to it.
    #[schema(schema_with = changed_hosts)]
    pub hosts: Option<Vec<String>>,
    /// The reason, for the audit log.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub comment: String,
}

fn hosts() -> utoipa::openapi::Schema {
    host_list().description(Some("Host names that lead clients to it.")).into()
}

fn changed_hosts() -> utoipa::openapi::Schema {
    use utoipa::openapi::schema::{SchemaType, Type};
    let nullable = SchemaType::Array(vec![Type::Array, Type::Null]);
    host_list().schema_type(nullable).description(Some("Host names that lead clients to it.")).into()
}

fn host_list() -> utoipa::openapi::ArrayBuilder {
    use utoipa::openapi::{ArrayBuilder, ObjectBuilder, schema::Type};
    let host = ObjectBuilder::new().schema_type(Type::String).max_length(Some(253));
    ArrayBuilder::new().items(host).max_items(Some(20))
}
