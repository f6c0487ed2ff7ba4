//! What a request may look like: every field, with a value that says its kind.

use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, SerializeOptions, Value,
};
use std::collections::HashMap;

/// How deep messages in messages are shown.
const DEEPEST: usize = 4;

/// An example of a message, as proto3 JSON. Of a `oneof`, the first field is shown.
pub(crate) fn example(message: &MessageDescriptor) -> String {
    let mut json = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(false);
    let written = sample(message, 0).serialize_with_options(&mut json, &options);
    written.expect("a sample holds only what has JSON");
    String::from_utf8(json.into_inner()).expect("JSON is UTF-8")
}

fn sample(message: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut sample = DynamicMessage::new(message.clone());
    if !is_google(message) {
        for field in message.fields().filter(is_shown) {
            if let Some(value) = field_value(&field, depth) {
                sample.set_field(&field, value);
            }
        }
    }
    sample
}

/// Messages of Google's have a JSON of their own, in which their default is an example as well.
fn is_google(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
}

/// Whether a field is the only one of its `oneof`, or the first.
fn is_shown(field: &FieldDescriptor) -> bool {
    let group = field.containing_oneof();
    group.is_none_or(|group| group.fields().next().is_some_and(|first| first == *field))
}

fn field_value(field: &FieldDescriptor, depth: usize) -> Option<Value> {
    let Kind::Message(entry) = field.kind() else {
        let value = kind_value(&field.kind(), depth)?;
        return Some(if field.is_list() { Value::List(vec![value]) } else { value });
    };
    if field.is_map() {
        let key = map_key(&entry.map_entry_key_field().kind())?;
        let value = kind_value(&entry.map_entry_value_field().kind(), depth)?;
        return Some(Value::Map(HashMap::from([(key, value)])));
    }
    let value = kind_value(&field.kind(), depth)?;
    Some(if field.cardinality() == Cardinality::Repeated { Value::List(vec![value]) } else { value })
}

/// `None` where there is no example: a message too deep, or one that must name another.
fn kind_value(kind: &Kind, depth: usize) -> Option<Value> {
    match kind {
        Kind::Message(message) if depth >= DEEPEST || has_no_default(message) => None,
        Kind::Message(message) => Some(Value::Message(sample(message, depth + 1))),
        kind => Some(Value::default_value(kind)),
    }
}

/// Whether the empty message has no JSON.
fn has_no_default(message: &MessageDescriptor) -> bool {
    matches!(message.full_name(), "google.protobuf.Any" | "google.protobuf.Value")
}

fn map_key(kind: &Kind) -> Option<MapKey> {
    MapKey::try_from_value(Value::default_value(kind))
}
