//! Generates an example of a message: every field, with the default of its type.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, SerializeOptions, Value,
};
use std::collections::HashMap;

/// The most values of an example: nested messages may be endless.
const MAX_VALUES: usize = 10_000;
/// The greatest nesting of messages in an example.
const MAX_DEPTH: usize = 16;

/// An example of a message, as proto3 JSON. Shows the first field of a `oneof`.
pub fn example(message: &MessageDescriptor) -> String {
    example_within(message, &mut { MAX_VALUES })
}

/// An example of a message with at most `left` values, which it decrements. Leaves out further fields.
pub fn example_within(message: &MessageDescriptor, left: &mut usize) -> String {
    let mut json = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(false);
    let mut bounds = Bounds { above: Vec::new(), left };
    let written = sample(message, &mut bounds).serialize_with_options(&mut json, &options);
    written.expect("a sample holds only what has JSON");
    String::from_utf8(json.into_inner()).expect("JSON is UTF-8")
}

/// Keeps an example finite.
struct Bounds<'a> {
    /// The messages around a field.
    above: Vec<MessageDescriptor>,
    /// How many more values are allowed.
    left: &'a mut usize,
}

/// A message with its fields set.
fn sample(message: &MessageDescriptor, bounds: &mut Bounds<'_>) -> DynamicMessage {
    let mut sample = DynamicMessage::new(message.clone());
    // Google's messages have a special JSON form, in which their default is a good example.
    if message.package_name() == "google.protobuf" {
        return sample;
    }
    bounds.above.push(message.clone());
    for field in message.fields().filter(is_shown) {
        let Some(left) = bounds.left.checked_sub(1) else { break };
        *bounds.left = left;
        if let Some(value) = field_value(&field, bounds) {
            sample.set_field(&field, value);
        }
    }
    bounds.above.pop();
    sample
}

/// Whether a field is in no `oneof`, or the first of it.
fn is_shown(field: &FieldDescriptor) -> bool {
    let group = field.containing_oneof();
    group.is_none_or(|group| group.fields().next().is_some_and(|first| first == *field))
}

fn field_value(field: &FieldDescriptor, bounds: &mut Bounds<'_>) -> Option<Value> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let key = MapKey::default_value(&entry.map_entry_key_field().kind());
            let value = value(&entry.map_entry_value_field().kind(), bounds)?;
            Some(Value::Map(HashMap::from([(key, value)])))
        }
        kind if field.is_list() => Some(Value::List(vec![value(&kind, bounds)?])),
        kind => value(&kind, bounds),
    }
}

/// `None` for an endless or impossible example: a message that contains itself, or one that must name
/// another.
fn value(kind: &Kind, bounds: &mut Bounds<'_>) -> Option<Value> {
    match kind {
        Kind::Message(message) if bounds.above.contains(message) || has_no_default(message) => None,
        Kind::Message(_) if bounds.above.len() >= MAX_DEPTH => None,
        Kind::Message(message) => Some(Value::Message(sample(message, bounds))),
        kind => Some(kind.default_value()),
    }
}

/// Whether the empty message has no JSON form.
fn has_no_default(message: &MessageDescriptor) -> bool {
    matches!(message.full_name(), "google.protobuf.Any" | "google.protobuf.Value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_reflect::DescriptorPool;

    fn message(text: &str) -> MessageDescriptor {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.proto"), text).unwrap();
        let files = protox::compile(["a.proto"], [folder.path()]).unwrap();
        let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
        pool.get_message_by_name("A").unwrap()
    }

    #[test]
    fn every_kind_of_field_has_a_valid_example() {
        let message = message(
            "syntax = 'proto3';
            import 'google/protobuf/any.proto';
            import 'google/protobuf/duration.proto';
            import 'google/protobuf/struct.proto';
            import 'google/protobuf/timestamp.proto';
            import 'google/protobuf/wrappers.proto';
            enum Kind { UNKNOWN = 0; }
            message Inner { A outer = 1; int64 long = 2; }
            message A {
                string some_text = 1; bytes raw = 2; repeated double numbers = 3; optional bool yes = 4;
                map<string, Inner> by_name = 5; Kind kind = 6; A again = 7;
                oneof one { string first = 8; string second = 9; }
                google.protobuf.Timestamp at = 10; google.protobuf.Duration within = 11;
                google.protobuf.StringValue wrapped = 12; google.protobuf.Struct free = 13;
                google.protobuf.Any any = 14; google.protobuf.Value value = 15;
            }",
        );
        let example = example(&message);
        insta::assert_snapshot!(example);
        DynamicMessage::deserialize(message, &mut serde_json::Deserializer::from_str(&example)).unwrap();
    }

    #[test]
    fn recursive_messages_are_bounded() {
        let fields: String = (0..30).map(|to| format!("M{to} m{to} = {};", to + 1)).collect();
        let all: String = (0..30).map(|of| format!("message M{of} {{ {fields} }}")).collect();
        let text = format!("syntax = 'proto3'; message A {{ M0 first = 1; }} {all}");
        let mut left = 50;
        let short = example_within(&message(&text), &mut left);
        assert!(left == 0 && short.matches(':').count() <= 50, "{short}");
        assert!(example(&message(&text)).len() < 16 * MAX_VALUES);
    }

    #[test]
    fn deeply_nested_messages_are_cut() {
        let chain: String =
            (0..20_000).map(|of| format!("message M{of} {{ M{} next = 1; }}", of + 1)).collect();
        let text = format!("syntax = 'proto3'; message A {{ M0 first = 1; }} {chain} message M20000 {{}}");
        assert_eq!(example(&message(&text)).matches(':').count(), MAX_DEPTH - 1);
    }

    #[test]
    fn a_message_without_fields() {
        assert_eq!(example(&message("syntax = 'proto3'; message A {}")), "{}");
    }
}
