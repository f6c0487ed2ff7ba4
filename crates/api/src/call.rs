//! The methods of a version, and calls of them.

use crate::schema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The callable methods and their messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Methods {
    /// The methods.
    pub methods: Vec<Method>,
    /// The messages by full name, without well-known types, which proto3 JSON writes as plain values.
    pub messages: BTreeMap<String, Message>,
}

/// A callable method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Method {
    /// `/package.Service/Method`.
    pub path: String,
    /// The full name of its service.
    pub service: String,
    /// Its name.
    pub name: String,
    /// The full name of the message that it takes.
    pub input: String,
    /// The full name of the message that it returns.
    pub output: String,
    /// Whether its answer is a stream of messages.
    pub streams: bool,
    /// Its workflow.
    #[schema(required, value_type = Option<schema::Name>)]
    pub workflow: Option<String>,
    /// Whether the workflow is a model of the Open Inference Protocol, too.
    pub open_inference: bool,
    /// Its comment in the `.proto`.
    #[schema(required)]
    pub comment: Option<String>,
    /// A message of the input's type with every field.
    pub example: Value,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Its full name.
    pub name: String,
    /// Its comment in the `.proto`.
    #[schema(required)]
    pub comment: Option<String>,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// A field of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Field {
    /// Its name in JSON.
    pub name: String,
    /// Its type.
    pub r#type: FieldType,
    /// Whether it is a list.
    pub repeated: bool,
    /// Whether it is a map; then `type` is that of the values.
    pub map: bool,
    /// Whether its absence differs from its default.
    pub optional: bool,
    /// Its `oneof`.
    #[schema(required)]
    pub oneof: Option<String>,
    /// The full name of its message, a key of `Methods.messages`.
    #[schema(required)]
    pub message: Option<String>,
    /// The values of its enum.
    #[schema(required)]
    pub values: Option<Vec<String>>,
    /// Comments in the `.proto` of the values of its enum, by name.
    pub value_comments: BTreeMap<String, String>,
    /// Its comment in the `.proto`.
    #[schema(required)]
    pub comment: Option<String>,
}

/// The type of a field, as JSON has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum FieldType {
    String,
    Bytes,
    Bool,
    Number,
    Integer,
    Int64,
    Enum,
    Message,
    Any,
}

/// A call of a method.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// `/package.Service/Method`.
    #[schema(max_length = 500)]
    pub method: String,
    /// The message in proto3 JSON.
    #[schema(schema_with = message)]
    pub message: Box<RawValue>,
    /// How long to wait for the answer; without it, as long as the server allows.
    #[schema(nullable = false, minimum = 0.001, maximum = 300)]
    pub timeout_seconds: Option<f64>,
}

/// What a client of a call would have seen.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CallResult {
    /// Whether there is an answer.
    pub ok: bool,
    /// gRPC's name of the status, such as `OK` or `INTERNAL`.
    pub code: String,
    /// The error's message.
    #[schema(required)]
    pub message: Option<String>,
    /// The answer in proto3 JSON; `null` when the call failed.
    #[schema(required, value_type = Value)]
    pub answer: Option<Box<RawValue>>,
    /// How long the call took.
    pub elapsed_ms: f64,
    /// The request's id, for its logs and hops.
    #[schema(required)]
    pub request: Option<String>,
}

fn message() -> utoipa::openapi::Schema {
    use utoipa::openapi::{
        ObjectBuilder,
        schema::{AdditionalProperties, Type},
    };
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::<utoipa::openapi::Schema>::FreeForm(true)))
        .description(Some("The message in proto3 JSON."))
        .into()
}
