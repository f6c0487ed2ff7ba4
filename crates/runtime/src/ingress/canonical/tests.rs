use super::*;
use proptest::prelude::*;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MapKey, ReflectMessage as _, Value,
    prost::{Message as _, encoding},
};
use std::{collections::HashMap, sync::LazyLock};

static KIND: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let text = "\
        syntax = \"proto3\";
        package t;
        message M {
          int32 number = 1;
          string text = 2;
          repeated double values = 3;
          M inner = 4;
          fixed32 fixed = 5;
          bytes data = 6;
          repeated string texts = 7;
          repeated sint64 packed = 8;
          map<int32, string> by_number = 9;
          map<string, M> by_text = 10;
          repeated M list = 11;
          optional bool set = 12;
          oneof one { string left = 13; int32 right = 1000; M middle = 14; }
          map<bool, E> by_bool = 15;
          enum E { A = 0; B = 1; }
        }
    ";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.proto"), text).unwrap();
    let files = protox::compile(["t.proto"], [folder.path()]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap().get_message_by_name("t.M").unwrap()
});

fn digest(message: &[u8]) -> CacheKey {
    key(message, &KIND, &Metadata::default())
}

/// What a message says, as JSON: two messages that are equal may differ in which defaults they have.
fn said(message: &DynamicMessage) -> serde_json::Value {
    serde_json::to_value(message).unwrap()
}

fn decoded(message: &[u8]) -> Option<serde_json::Value> {
    DynamicMessage::decode(KIND.clone(), message).ok().map(|message| said(&message))
}

/// A message as another encoder may write it: in another order, with defaults, and with numbers one by one.
fn written(message: &DynamicMessage, order: u64) -> Vec<u8> {
    let mut parts = Vec::new();
    for field in message.descriptor().fields() {
        if field.containing_oneof().is_none()
            && !field.is_list()
            && !field.is_map()
            && !field.supports_presence()
        {
            parts.push(one(message, &field));
        } else if field.is_list() && matches!(field.kind(), Kind::Double | Kind::Sint64) && order % 2 == 1 {
            let value = message.get_field(&field);
            parts.push(value.as_list().unwrap().iter().flat_map(|item| number(&field, item)).collect());
        } else if field.is_map() {
            let value = message.get_field(&field);
            let mut entries: Vec<_> = value.as_map().unwrap().iter().collect();
            entries.sort_by_key(|(key, _)| (*key).clone());
            if order % 2 == 1 {
                entries.reverse();
            }
            parts.push(entries.into_iter().flat_map(|(key, value)| entry(&field, key, value)).collect());
        } else if message.has_field(&field) {
            parts.push(one(message, &field));
        }
    }
    let first = usize::try_from(order).unwrap() % parts.len();
    parts.rotate_left(first);
    parts.concat()
}

/// One field, with its value or its default.
fn one(message: &DynamicMessage, field: &FieldDescriptor) -> Vec<u8> {
    let mut alone = DynamicMessage::new(message.descriptor());
    if message.has_field(field) {
        alone.set_field(field, message.get_field(field).into_owned());
        return alone.encode_to_vec();
    }
    let mut bytes = Vec::new();
    encoding::encode_key(field.number(), field.kind().wire_type(), &mut bytes);
    match field.kind().wire_type() {
        WireType::ThirtyTwoBit => bytes.extend([0; 4]),
        _ => bytes.push(0),
    }
    bytes
}

fn number(field: &FieldDescriptor, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    match value {
        Value::F64(value) => encoding::double::encode(field.number(), value, &mut bytes),
        Value::I64(value) => encoding::sint64::encode(field.number(), value, &mut bytes),
        other => panic!("{other:?}"),
    }
    bytes
}

fn entry(field: &FieldDescriptor, key: &MapKey, value: &Value) -> Vec<u8> {
    let mut message = DynamicMessage::new(KIND.clone());
    message.set_field(field, Value::Map(HashMap::from([(key.clone(), value.clone())])));
    message.encode_to_vec()
}

fn message() -> impl Strategy<Value = DynamicMessage> {
    use proptest::collection::{hash_map, vec};
    let numbers = (0..2_i32, 0..2_u32, vec(any::<f64>(), 0..3), vec(any::<i64>(), 0..3)).boxed();
    let texts = (".{0,3}", vec(any::<u8>(), 0..3), vec(".{0,3}", 0..3)).boxed();
    let more = (
        hash_map(-2..3_i32, ".{0,3}", 0..4),
        proptest::option::of(any::<bool>()),
        proptest::option::of(".{0,3}"),
        hash_map(any::<bool>(), 0..2_i32, 0..3),
    );
    let alone = (numbers, texts, more.boxed()).prop_map(|(numbers, (text, data, texts), more)| {
        let (number, fixed, values, packed) = numbers;
        let (by_number, set, left, by_bool) = more;
        let mut message = DynamicMessage::new(KIND.clone());
        let mut put = |name: &str, value: Value| message.set_field_by_name(name, value);
        put("number", Value::I32(number));
        put("text", Value::String(text));
        put("values", Value::List(values.into_iter().map(Value::F64).collect()));
        put("fixed", Value::U32(fixed));
        put("data", Value::Bytes(data.into()));
        put("texts", Value::List(texts.into_iter().map(Value::String).collect()));
        put("packed", Value::List(packed.into_iter().map(Value::I64).collect()));
        let by_number = by_number.into_iter().map(|(key, value)| (MapKey::I32(key), Value::String(value)));
        put("by_number", Value::Map(by_number.collect()));
        let by_bool = by_bool.into_iter().map(|(key, value)| (MapKey::Bool(key), Value::EnumNumber(value)));
        put("by_bool", Value::Map(by_bool.collect()));
        if let Some(set) = set {
            put("set", Value::Bool(set));
        }
        if let Some(left) = left {
            put("left", Value::String(left));
        }
        message
    });
    alone.prop_recursive(2, 6, 3, |inner| {
        (inner.clone(), vec(inner, 0..3)).prop_map(|(mut message, others)| {
            let list: Vec<_> = others.iter().cloned().map(Value::Message).collect();
            let by_text = others.iter().enumerate();
            let by_text = by_text
                .map(|(index, other)| (MapKey::String(format!("{index}")), Value::Message(other.clone())));
            message.set_field_by_name("by_text", Value::Map(by_text.collect()));
            if let Some(first) = others.into_iter().next() {
                message.set_field_by_name("inner", Value::Message(first));
            }
            message.set_field_by_name("list", Value::List(list));
            message
        })
    })
}

/// Bytes that are often a message: fields with few numbers and small values.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![1..16_u32, Just(1000), Just(77)];
    let part =
        (number, 0..4_usize, proptest::collection::vec(0..4_u8, 0..6)).prop_map(|(number, form, content)| {
            let field = KIND.get_field(number);
            let natural = field.as_ref().map_or(WireType::Varint, |field| field.kind().wire_type());
            let list = field.as_ref().is_some_and(FieldDescriptor::is_list);
            let wire = if list && form == 0 { WireType::LengthDelimited } else { natural };
            let mut bytes = Vec::new();
            encoding::encode_key(number, wire, &mut bytes);
            match wire {
                WireType::LengthDelimited => {
                    encoding::encode_varint(content.len() as u64, &mut bytes);
                    bytes.extend(content);
                }
                WireType::ThirtyTwoBit => bytes.extend([content.len() as u8 % 2, 0, 0, 0]),
                WireType::SixtyFourBit => bytes.extend([content.len() as u8 % 2, 0, 0, 0, 0, 0, 0, 0]),
                // A zero in the longer form has a second byte.
                _ if form == 3 => bytes.extend([0x80, 0]),
                _ => bytes.push(content.len() as u8 % 3),
            }
            bytes
        });
    proptest::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn equal_messages_have_one_key(message in message(), order in 0..40_u64) {
        let (one, other) = (message.encode_to_vec(), written(&message, order));
        prop_assert_eq!(decoded(&other).unwrap(), said(&message));
        prop_assert_eq!(digest(&one), digest(&other));
    }

    #[test]
    fn messages_of_one_key_are_equal(one in message(), other in message()) {
        let same = digest(&one.encode_to_vec()) == digest(&other.encode_to_vec());
        prop_assert!(!same || said(&one) == said(&other));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn odd_bytes_of_one_key_are_one_message(parts in proptest::collection::vec(bytes(), 2..12)) {
        let mut known: HashMap<CacheKey, serde_json::Value> = HashMap::new();
        for (index, one) in parts.iter().enumerate() {
            // Parts in both orders: they differ in what comes last.
            let other = &parts[(index + 1) % parts.len()];
            for bytes in [one.clone(), [&one[..], other].concat(), [&other[..], one].concat()] {
                let Some(message) = decoded(&bytes) else { continue };
                let same = known.entry(digest(&bytes)).or_insert_with(|| message.clone());
                prop_assert_eq!(&*same, &message, "{:?}", bytes);
            }
        }
    }
}

#[test]
fn messages_with_very_many_fields_have_a_key() {
    let many = [0x3a, 0].repeat(MAX_FIELDS + 1);
    assert_eq!(digest(&many), digest(&many.clone()));
    let more = [&many[..], &[0x3a, 0]].concat();
    assert_ne!(digest(&many), digest(&more));
}

#[test]
fn what_clients_send_beside_the_message_is_a_part_of_the_key() {
    let with = |pairs: &[(&str, &str)]| {
        let mut metadata = Metadata::default();
        for (name, value) in pairs {
            let name = krt_model::metadata::MetadataName::parse(name).unwrap();
            metadata.add(&name, value.as_bytes()).unwrap();
        }
        key(b"", &KIND, &metadata)
    };
    let keys = [
        with(&[]),
        with(&[("x-a", "")]),
        with(&[("x-a", "1")]),
        with(&[("x-a", "1"), ("x-a", "1")]),
        with(&[("x-a", "1"), ("x-b", "1")]),
        with(&[("x-b", "1")]),
        with(&[("x-a", "1x-b")]),
    ];
    for (index, one) in keys.iter().enumerate() {
        assert_eq!(keys.iter().position(|other| other == one), Some(index));
    }
    assert_eq!(with(&[("x-b", "1"), ("x-a", "1")]), keys[4]);
}
