use super::*;
use proptest::prelude::*;
use prost_reflect::{DescriptorPool, DynamicMessage, prost::Message as _};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

/// `message M { int32 number = 1; string text = 2; repeated double values = 3; M inner = 4;
/// fixed32 fixed = 5; bytes data = 6; repeated string texts = 7; repeated sint64 packed = 8; }`
fn message() -> MessageDescriptor {
    let field = |number, name: &str, kind: Type, label: Label| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        r#type: Some(kind.into()),
        label: Some(label.into()),
        type_name: (kind == Type::Message).then(|| ".t.M".to_owned()),
        ..FieldDescriptorProto::default()
    };
    let (one, many) = (Label::Optional, Label::Repeated);
    let fields = vec![
        field(1, "number", Type::Int32, one),
        field(2, "text", Type::String, one),
        field(3, "values", Type::Double, many),
        field(4, "inner", Type::Message, one),
        field(5, "fixed", Type::Fixed32, one),
        field(6, "data", Type::Bytes, one),
        field(7, "texts", Type::String, many),
        field(8, "packed", Type::Sint64, many),
    ];
    let file = FileDescriptorProto {
        name: Some("t.proto".to_owned()),
        package: Some("t".to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![DescriptorProto {
            name: Some("M".to_owned()),
            field: fields,
            ..DescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    };
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(file).unwrap();
    pool.get_message_by_name("t.M").unwrap()
}

#[test]
fn table() {
    let rows: [(&str, &[u8], Option<&str>); 14] = [
        ("empty", b"", None),
        ("a number", &[0x08, 0x96, 0x01], None),
        ("a text", &[0x12, 2, b'h', b'i'], None),
        ("packed", &[0x1a, 8, 0, 0, 0, 0, 0, 0, 0, 0], None),
        ("not packed", &[0x19, 0, 0, 0, 0, 0, 0, 0, 0], None),
        ("a field that is not known", &[0x7a, 1, 0], None),
        ("a number as text", &[0x0a, 0], Some("field `t.M.number` has wire type LengthDelimited")),
        ("a text as number", &[0x10, 1], Some("field `t.M.text` has wire type Varint")),
        ("a text that is cut short", &[0x12, 5, b'h'], Some("field `t.M.text` is cut short")),
        ("a text that is not UTF-8", &[0x12, 1, 0xff], Some("field `t.M.text` is not UTF-8")),
        (
            "packed, but not eight bytes",
            &[0x1a, 7, 0, 0, 0, 0, 0, 0, 0],
            Some("field `t.M.values` is cut short"),
        ),
        ("inside", &[0x22, 2, 0x10, 1], Some("field `t.M.text` has wire type Varint")),
        ("no key", &[0xff], Some("not a protobuf message")),
        ("field 0", &[0x00], Some("not a protobuf message")),
    ];
    let kind = message();
    for (name, bytes, expected) in rows {
        let fault = check(bytes, &kind).err().map(|fault| fault.to_string());
        assert_eq!(fault.as_deref(), expected, "{name}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        (0..depth).fold(Vec::new(), |inner: Vec<u8>, _| {
            let mut outer = vec![0x22];
            prost::encoding::encode_varint(inner.len() as u64, &mut outer);
            outer.extend(inner);
            outer
        })
    };
    let kind = message();
    assert!(check(&nested(MAX_DEPTH - 1), &kind).is_ok());
    assert!(matches!(check(&nested(MAX_DEPTH), &kind), Err(Fault::Deep)));
    assert!(matches!(check(&nested(5_000), &kind), Err(Fault::Deep)));
}

proptest! {
    /// The check passes exactly the bytes that a decoder accepts.
    #[test]
    fn agrees_with_a_decoder(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..0x46u8], 0..24)) {
        let kind = message();
        let decoded = DynamicMessage::decode(kind.clone(), &*bytes);
        prop_assert_eq!(check(&bytes, &kind).is_ok(), decoded.is_ok(), "{:?}", decoded);
    }

    #[test]
    fn encoded_messages_pass(number: i32, text: String, values: Vec<f64>, packed: Vec<i64>) {
        use prost_reflect::Value;
        let kind = message();
        let mut message = DynamicMessage::new(kind.clone());
        message.set_field_by_name("number", Value::I32(number));
        message.set_field_by_name("text", Value::String(text));
        message.set_field_by_name("values", Value::List(values.into_iter().map(Value::F64).collect()));
        message.set_field_by_name("packed", Value::List(packed.into_iter().map(Value::I64).collect()));
        prop_assert!(check(&message.encode_to_vec(), &kind).is_ok());
    }
}
