//! Messages, described for forms: what a client needs to know to fill one in.

use krt_package::{Package, example::example};
use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};
use serde::Serialize;
use std::collections::BTreeMap;

/// What can be called, and with what.
#[derive(Debug, Clone, Serialize)]
pub struct Methods {
    methods: Vec<Method>,
    /// By full name.
    messages: BTreeMap<String, Message>,
}

#[derive(Debug, Clone, Serialize)]
struct Method {
    path: String,
    service: String,
    name: String,
    input: String,
    output: String,
    workflow: Option<String>,
    example: serde_json::Value,
}

#[derive(Debug, Clone, Serialize)]
struct Message {
    name: String,
    fields: Vec<Field>,
}

#[derive(Debug, Clone, Serialize)]
struct Field {
    name: String,
    r#type: &'static str,
    repeated: bool,
    map: bool,
    optional: bool,
    oneof: Option<String>,
    message: Option<String>,
    values: Option<Vec<String>>,
    comment: Option<String>,
}

/// Describes what a package's entrypoint can be called with.
pub fn methods(package: &Package) -> Methods {
    let mut messages = BTreeMap::new();
    let methods = package.schema.methods.iter().map(|method| {
        add(&method.input, &mut messages);
        add(&method.output, &mut messages);
        let workflow = method.workflow.map(|index| package.version.workflows[index].name.to_string());
        Method {
            path: method.path.clone(),
            service: method.service.clone(),
            name: method.name.clone(),
            input: method.input.full_name().to_owned(),
            output: method.output.full_name().to_owned(),
            workflow,
            example: serde_json::from_str(&example(&method.input)).unwrap_or_default(),
        }
    });
    let methods = methods.collect();
    Methods { methods, messages }
}

/// Whether proto3 JSON writes a message as something else than its fields.
fn is_plain(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
}

fn add(message: &MessageDescriptor, messages: &mut BTreeMap<String, Message>) {
    if is_plain(message) || messages.contains_key(message.full_name()) {
        return;
    }
    let name = message.full_name().to_owned();
    let fields = message.fields().map(|field| describe(&field)).collect();
    messages.insert(name.clone(), Message { name, fields });
    for field in message.fields() {
        if let Kind::Message(inner) = value_kind(&field) {
            add(&inner, messages);
        }
    }
}

/// The kind of a field, or of a map's values.
fn value_kind(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

fn describe(field: &FieldDescriptor) -> Field {
    let kind = value_kind(field);
    let (r#type, message) = match &kind {
        Kind::Message(message) if is_plain(message) => (of_plain(message.name()), None),
        Kind::Message(message) => ("message", Some(message.full_name().to_owned())),
        kind => (of_scalar(kind), None),
    };
    let values = match &kind {
        Kind::Enum(kind) => Some(kind.values().map(|value| value.name().to_owned()).collect()),
        _ => None,
    };
    let real_oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
    Field {
        name: field.json_name().to_owned(),
        r#type,
        repeated: field.is_list(),
        map: field.is_map(),
        optional: field.cardinality() == Cardinality::Optional
            && field.supports_presence()
            && message.is_none(),
        oneof: real_oneof.map(|oneof| oneof.name().to_owned()),
        message,
        values,
        comment: None,
    }
}

fn of_scalar(kind: &Kind) -> &'static str {
    match kind {
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Bool => "bool",
        Kind::Float | Kind::Double => "number",
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => "int64",
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Sfixed32 => "integer",
        Kind::Enum(_) => "enum",
        Kind::Message(_) => "message",
    }
}

/// What proto3 JSON makes of one of Google's messages.
fn of_plain(name: &str) -> &'static str {
    match name {
        "Timestamp" | "Duration" | "FieldMask" | "StringValue" => "string",
        "BytesValue" => "bytes",
        "BoolValue" => "bool",
        "DoubleValue" | "FloatValue" => "number",
        "Int64Value" | "UInt64Value" => "int64",
        "Int32Value" | "UInt32Value" => "integer",
        _ => "any",
    }
}
