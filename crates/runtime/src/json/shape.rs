//! The cardinality of a message's field or an extension, and the messages with their own JSON.

use prost_reflect::{EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Syntax};

/// A field's number, type and cardinality.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) cardinality: Cardinality,
    /// A proto2 group, which has an end marker instead of a length.
    pub(super) group: bool,
}

/// How many times a field may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cardinality {
    /// Once. Without presence, its default equals absence.
    One {
        presence: bool,
    },
    List {
        packed: bool,
    },
    Map,
}

macro_rules! shape_of {
    ($field:expr) => {{
        let field = $field;
        let cardinality = if field.is_map() {
            Cardinality::Map
        } else if field.is_list() {
            Cardinality::List { packed: field.is_packed() }
        } else {
            Cardinality::One { presence: field.supports_presence() }
        };
        Self { number: field.number(), kind: field.kind(), cardinality, group: field.is_group() }
    }};
}

impl From<&FieldDescriptor> for Shape {
    fn from(field: &FieldDescriptor) -> Self {
        shape_of!(field)
    }
}

impl From<&ExtensionDescriptor> for Shape {
    fn from(field: &ExtensionDescriptor) -> Self {
        shape_of!(field)
    }
}

/// Messages whose JSON is not an object of their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WellKnown {
    Any,
    Duration,
    FieldMask,
    List,
    Struct,
    Timestamp,
    Value,
    Wrapper,
}

impl WellKnown {
    pub(super) fn of(message: &MessageDescriptor) -> Option<Self> {
        Some(match message.full_name().strip_prefix("google.protobuf.")? {
            "Any" => Self::Any,
            "Duration" => Self::Duration,
            "FieldMask" => Self::FieldMask,
            "ListValue" => Self::List,
            "Struct" => Self::Struct,
            "Timestamp" => Self::Timestamp,
            "Value" => Self::Value,
            "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value"
            | "StringValue" | "UInt32Value" | "UInt64Value" => Self::Wrapper,
            _ => return None,
        })
    }
}

/// Returns whether `null` is a value of the type, rather than the absence of one.
pub(super) fn takes_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value",
        Kind::Enum(kind) => is_null_value(kind),
        _ => false,
    }
}

/// Returns whether an enum is `NullValue`, with `null` as its only value.
pub(super) fn is_null_value(kind: &EnumDescriptor) -> bool {
    kind.full_name() == "google.protobuf.NullValue"
}

/// Returns whether an enum has only the values declared in its `.proto`.
pub(crate) fn is_closed(kind: &EnumDescriptor) -> bool {
    kind.parent_file().syntax() == Syntax::Proto2
}

/// Returns the name of an enum's value; the first, if there are several.
pub(crate) fn enum_name(kind: &EnumDescriptor, number: i32) -> Option<String> {
    let found = kind.get_value(number)?;
    let options = &kind.enum_descriptor_proto().options;
    let aliased = options.as_ref().is_some_and(prost_types::EnumOptions::allow_alias);
    let first = aliased.then(|| {
        let declared = &kind.enum_descriptor_proto().value;
        declared.iter().find(|value| value.number() == number).map(|value| value.name().to_owned())
    });
    Some(first.flatten().unwrap_or_else(|| found.name().to_owned()))
}
