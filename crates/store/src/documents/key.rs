//! `_id`s as bytes.
//!
//! Two `_id`s that MongoDB's unique index finds equal have equal bytes: numbers are equal whatever
//! their kind, strings and symbols are equal, and the same holds inside documents.

use bson::{Bson, Document, spec::BinarySubtype};

/// The bytes of an `_id`.
pub(crate) fn encode(id: &Bson) -> Vec<u8> {
    let mut key = Vec::with_capacity(16);
    put(&mut key, id);
    key
}

/// Each value is a byte for its kind and then bytes of known size, so that no two are confused.
fn put(key: &mut Vec<u8>, value: &Bson) {
    match value {
        Bson::Int32(number) => put_number(key, Number::Int((*number).into())),
        Bson::Int64(number) => put_number(key, Number::Int(*number)),
        Bson::Double(number) => put_number(key, Number::of(*number)),
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
            key.push(subtype(binary.subtype));
        }
        // The rest is rare: its text tells apart what differs.
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

enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// A whole number is the same number as an integer.
    fn of(number: f64) -> Self {
        let whole = number as i64;
        let same = number.fract() == 0.0 && number >= -(2_f64.powi(63)) && number < 2_f64.powi(63);
        if same { Self::Int(whole) } else { Self::Float(number) }
    }
}

fn put_number(key: &mut Vec<u8>, number: Number) {
    match number {
        Number::Int(number) => put_bytes(key, b'i', &number.to_be_bytes()),
        Number::Float(number) if number.is_nan() => put_bytes(key, b'f', b"NaN"),
        Number::Float(number) => put_bytes(key, b'f', &number.to_be_bytes()),
    }
}

fn put_size(key: &mut Vec<u8>, kind: u8, size: usize) {
    key.push(kind);
    key.extend_from_slice(&(size as u32).to_be_bytes());
}

fn put_bytes(key: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    put_size(key, kind, bytes.len());
    key.extend_from_slice(bytes);
}

fn subtype(subtype: BinarySubtype) -> u8 {
    subtype.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn equal_ids_are_equal_bytes() {
        let equal = [
            (Bson::Int32(1), Bson::Int64(1)),
            (Bson::Int32(1), Bson::Double(1.0)),
            (Bson::Double(0.0), Bson::Double(-0.0)),
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
}
