//! `_id`s as bytes.
//!
//! Two `_id`s have equal bytes if MongoDB's unique index treats them as equal: integers are equal whatever
//! their type, strings and symbols are equal, and the same holds inside documents. The one exception: a
//! decimal fraction never equals a floating-point one.

use crate::filter::integer;
use bson::{Bson, Decimal128, Document};

/// Encodes an `_id`.
pub(crate) fn encode(id: &Bson) -> Vec<u8> {
    let mut key = Vec::with_capacity(16);
    put(&mut key, id);
    key
}

/// Writes a byte for the value's kind, then bytes of known length, so that no two values collide.
fn put(key: &mut Vec<u8>, value: &Bson) {
    match value {
        Bson::Int32(number) => put_integer(key, (*number).into()),
        Bson::Int64(number) => put_integer(key, *number),
        Bson::Double(number) => put_double(key, *number),
        Bson::Decimal128(number) => put_decimal(key, *number),
        Bson::String(text) | Bson::Symbol(text) => put_bytes(key, b's', text.as_bytes()),
        Bson::Document(document) => put_document(key, document),
        Bson::Array(values) => {
            put_size(key, b'a', values.len());
            values.iter().for_each(|value| put(key, value));
        }
        Bson::ObjectId(id) => put_bytes(key, b'o', &id.bytes()),
        Bson::DateTime(time) => put_bytes(key, b't', &time.timestamp_millis().to_be_bytes()),
        Bson::Binary(binary) => {
            put_bytes(key, b'b', &binary.bytes);
            key.push(binary.subtype.into());
        }
        // The other kinds are rare: their debug text tells different values apart.
        other => put_bytes(key, b'x', format!("{other:?}").as_bytes()),
    }
}

fn put_document(key: &mut Vec<u8>, document: &Document) {
    put_size(key, b'd', document.len());
    for (name, value) in document {
        put_bytes(key, b'n', name.as_bytes());
        put(key, value);
    }
}

/// A whole number encodes as an integer.
fn put_double(key: &mut Vec<u8>, number: f64) {
    let whole = number as i64;
    if number.fract() == 0.0 && number >= -(2_f64.powi(63)) && number < 2_f64.powi(63) {
        put_integer(key, whole);
    } else if number.is_nan() {
        put_bytes(key, b'f', b"NaN");
    } else {
        put_bytes(key, b'f', &number.to_be_bytes());
    }
}

fn put_decimal(key: &mut Vec<u8>, number: Decimal128) {
    match integer(number) {
        Some(number) => put_integer(key, number),
        None => put_bytes(key, b'm', &number.bytes()),
    }
}

fn put_integer(key: &mut Vec<u8>, number: i64) {
    put_bytes(key, b'i', &number.to_be_bytes());
}

fn put_size(key: &mut Vec<u8>, kind: u8, size: usize) {
    key.push(kind);
    key.extend_from_slice(&(size as u32).to_be_bytes());
}

fn put_bytes(key: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    put_size(key, kind, bytes.len());
    key.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use bson::{RawDocumentBuf, doc};
    use proptest::prelude::*;

    fn decimal(text: &str) -> Bson {
        Bson::Decimal128(text.parse().unwrap())
    }

    #[test]
    fn equal_ids_are_equal_bytes() {
        let equal = [
            (Bson::Int32(1), Bson::Int64(1)),
            (Bson::Int32(1), Bson::Double(1.0)),
            (Bson::Double(0.0), Bson::Double(-0.0)),
            (Bson::Int32(-100), decimal("-1.00E+2")),
            (Bson::Int32(0), decimal("0E-5")),
            (Bson::Int64(i64::MIN), decimal("-9223372036854775808")),
            (Bson::Double(f64::NAN), Bson::Double(-f64::NAN)),
            (Bson::Document(doc! { "a": 1_i64 }), Bson::Document(doc! { "a": 1.0 })),
        ];
        for (one, other) in equal {
            assert_eq!(encode(&one), encode(&other), "{one} {other}");
        }
    }

    #[test]
    fn different_ids_are_different_bytes() {
        let all = [
            Bson::Int32(1),
            Bson::Double(1.5),
            decimal("1.1"),
            decimal("9223372036854775808000"),
            Bson::Int64(i64::MAX),
            Bson::Double(2_f64.powi(63)),
            Bson::String("1".into()),
            Bson::Boolean(true),
            Bson::Null,
            Bson::Document(doc! {}),
            Bson::Document(doc! { "a": "b", "c": "d" }),
            Bson::Document(doc! { "a": "bc", "": "d" }),
            Bson::Document(doc! { "a": [1, 2] }),
            Bson::Document(doc! { "a": [1], "b": 2 }),
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert_ne!(encode(one), encode(other), "{one} {other}");
            }
        }
    }

    fn id() -> impl Strategy<Value = Bson> {
        prop_oneof![
            (-2..3_i32).prop_map(Bson::Int32),
            (-2..3_i64).prop_map(Bson::Int64),
            (-4..5).prop_map(|halves| Bson::Double(f64::from(halves) / 2.0)),
            (-2..3, 0..3_usize).prop_map(|(n, places)| decimal(&format!("{n}.{}", &"00"[..places]))),
            "[ab]{0,2}".prop_map(Bson::String),
            "[ab]{0,2}".prop_map(Bson::Symbol),
            any::<bool>().prop_map(Bson::Boolean),
            Just(Bson::Null),
            (0..3_i64).prop_map(|millis| Bson::DateTime(bson::DateTime::from_millis(millis))),
        ]
    }

    fn id_or_document() -> impl Strategy<Value = Bson> {
        prop_oneof![
            id(),
            ("[ab]", id(), id())
                .prop_map(|(name, one, other)| Bson::Document(doc! { name: one, "l": [other] })),
        ]
    }

    proptest! {
        #[test]
        fn keys_are_equal_if_queries_match(one in id_or_document(), other in id_or_document()) {
            let found = Filter::parse(&doc! { "_id": &one }).unwrap();
            let document = RawDocumentBuf::try_from(&doc! { "_id": &other }).unwrap();
            prop_assert_eq!(encode(&one) == encode(&other), found.matches(&document), "{} {}", one, other);
        }
    }
}
