//! What a request may look like: every field, with the default of its type.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, SerializeOptions, Value,
};
use std::collections::HashMap;

/// An example of a message, as proto3 JSON. Of a `oneof`, the first field is shown.
pub fn example(message: &MessageDescriptor) -> String {
    let mut json = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(false);
    let written = sample(message, &mut Vec::new()).serialize_with_options(&mut json, &options);
    written.expect("a sample holds only what has JSON");
    String::from_utf8(json.into_inner()).expect("JSON is UTF-8")
}

/// A message with its fields set; `above` are the messages that it is in.
fn sample(message: &MessageDescriptor, above: &mut Vec<MessageDescriptor>) -> DynamicMessage {
    let mut sample = DynamicMessage::new(message.clone());
    // Google's messages have a JSON of their own, in which their default is an example as well.
    if message.package_name() == "google.protobuf" {
        return sample;
    }
    above.push(message.clone());
    for field in message.fields().filter(is_shown) {
        if let Some(value) = field_value(&field, above) {
            sample.set_field(&field, value);
        }
    }
    above.pop();
    sample
}

/// Whether a field is in no `oneof`, or the first of it.
fn is_shown(field: &FieldDescriptor) -> bool {
    let group = field.containing_oneof();
    group.is_none_or(|group| group.fields().next().is_some_and(|first| first == *field))
}

fn field_value(field: &FieldDescriptor, above: &mut Vec<MessageDescriptor>) -> Option<Value> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let key = MapKey::default_value(&entry.map_entry_key_field().kind());
            let value = value(&entry.map_entry_value_field().kind(), above)?;
            Some(Value::Map(HashMap::from([(key, value)])))
        }
        kind if field.is_list() => Some(Value::List(vec![value(&kind, above)?])),
        kind => value(&kind, above),
    }
}

/// `None` where there is no end, or no example: a message in itself, or one that must name another.
fn value(kind: &Kind, above: &mut Vec<MessageDescriptor>) -> Option<Value> {
    match kind {
        Kind::Message(message) if above.contains(message) || has_no_default(message) => None,
        Kind::Message(message) => Some(Value::Message(sample(message, above))),
        kind => Some(kind.default_value()),
    }
}

/// Whether the empty message has no JSON.
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
    fn every_kind_has_an_example_that_is_a_request() {
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
    fn a_message_without_fields() {
        assert_eq!(example(&message("syntax = 'proto3'; message A {}")), "{}");
    }
}
