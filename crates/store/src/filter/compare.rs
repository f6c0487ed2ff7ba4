//! The order of BSON values
//! ([manual](https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/)).

use super::number::Number;
use bson::{RawBsonRef, RawDocument, raw::RawBinaryRef};
use std::cmp::Ordering;

/// The rank of a value's kind, which orders values of different kinds.
pub(super) fn rank(value: RawBsonRef<'_>) -> i8 {
    match value {
        RawBsonRef::MinKey => i8::MIN,
        RawBsonRef::Undefined => 0,
        RawBsonRef::Null => 5,
        RawBsonRef::Int32(_) | RawBsonRef::Int64(_) | RawBsonRef::Double(_) | RawBsonRef::Decimal128(_) => 10,
        RawBsonRef::String(_) | RawBsonRef::Symbol(_) => 15,
        RawBsonRef::Document(_) => 20,
        RawBsonRef::Array(_) => 25,
        RawBsonRef::Binary(_) => 30,
        RawBsonRef::ObjectId(_) => 35,
        RawBsonRef::Boolean(_) => 40,
        RawBsonRef::DateTime(_) => 45,
        RawBsonRef::Timestamp(_) => 47,
        RawBsonRef::RegularExpression(_) => 50,
        RawBsonRef::DbPointer(_) => 55,
        RawBsonRef::JavaScriptCode(_) => 60,
        RawBsonRef::JavaScriptCodeWithScope(_) => 65,
        RawBsonRef::MaxKey => i8::MAX,
    }
}

pub(super) fn is_nan(value: RawBsonRef<'_>) -> bool {
    Number::of(value).is_some_and(Number::is_nan)
}

/// Compares two values, by kind first.
pub(super) fn values(one: RawBsonRef<'_>, other: RawBsonRef<'_>) -> Ordering {
    rank(one).cmp(&rank(other)).then_with(|| same_kind(one, other))
}

fn same_kind(one: RawBsonRef<'_>, other: RawBsonRef<'_>) -> Ordering {
    use RawBsonRef as B;
    if let (Some(one), Some(other)) = (Number::of(one), Number::of(other)) {
        return one.compare(other);
    }
    match (one, other) {
        (B::String(one) | B::Symbol(one), B::String(other) | B::Symbol(other)) => one.cmp(other),
        (B::Document(one), B::Document(other)) => documents(one, other),
        (B::Array(one), B::Array(other)) => arrays(one, other),
        (B::Binary(one), B::Binary(other)) => binaries(one, other),
        (B::ObjectId(one), B::ObjectId(other)) => one.bytes().cmp(&other.bytes()),
        (B::Boolean(one), B::Boolean(other)) => one.cmp(&other),
        (B::DateTime(one), B::DateTime(other)) => one.cmp(&other),
        (B::Timestamp(one), B::Timestamp(other)) => {
            (one.time, one.increment).cmp(&(other.time, other.increment))
        }
        (B::RegularExpression(one), B::RegularExpression(other)) => {
            (one.pattern.as_str(), one.options.as_str())
                .cmp(&(other.pattern.as_str(), other.options.as_str()))
        }
        (B::JavaScriptCode(one), B::JavaScriptCode(other)) => one.cmp(other),
        (one, other) if one == other => Ordering::Equal,
        // Deprecated kinds: any consistent order.
        (one, other) => format!("{one:?}").cmp(&format!("{other:?}")),
    }
}

/// Compares field by field: kind, then name, then value; a prefix is less.
fn documents(one: &RawDocument, other: &RawDocument) -> Ordering {
    let (mut fields, mut others) = (one.iter().map_while(Result::ok), other.iter().map_while(Result::ok));
    loop {
        let ((name, value), (other_name, other_value)) = match (fields.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(field), Some(other)) => (field, other),
        };
        let order = rank(value)
            .cmp(&rank(other_value))
            .then_with(|| name.as_str().cmp(other_name.as_str()))
            .then_with(|| same_kind(value, other_value));
        if order.is_ne() {
            return order;
        }
    }
}

fn arrays(one: &bson::RawArray, other: &bson::RawArray) -> Ordering {
    let (mut elements, mut others) = (super::elements(one), super::elements(other));
    loop {
        let order = match (elements.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(element), Some(other)) => values(element, other),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn binaries(one: RawBinaryRef<'_>, other: RawBinaryRef<'_>) -> Ordering {
    let parts = |binary: RawBinaryRef<'_>| (binary.bytes.len(), u8::from(binary.subtype));
    parts(one).cmp(&parts(other)).then_with(|| one.bytes.cmp(other.bytes))
}
