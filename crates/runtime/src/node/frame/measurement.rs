//! Points that user code measures, as a worker sends them.
//!
//! A value that cannot be measured, such as a list, is passed over while it is read: as a tree in memory it would
//! take many times the bytes of its frame.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};

/// A point that user code measured.
#[derive(Debug, Deserialize)]
pub struct Measurement {
    /// The measurement's name.
    pub measurement: String,
    /// Its values.
    pub fields: BTreeMap<String, Field>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Nanoseconds since the Unix epoch.
    pub time: i64,
}

/// A value that was measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// What cannot be measured: null, a list or an object.
    Other,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Field, E> {
        Ok(Field::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Field, E> {
        Ok(Field::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Field, E> {
        Ok(i64::try_from(value).map_or(Field::Float(value as f64), Field::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Field, E> {
        Ok(Field::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Field, E> {
        Ok(Field::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Field, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, expected) in [
            ("true", Field::Bool(true)),
            ("-1", Field::Int(-1)),
            ("9223372036854775807", Field::Int(i64::MAX)),
            ("18446744073709551615", Field::Float(u64::MAX as f64)),
            ("2.0", Field::Float(2.0)),
            ("\"a\\n\"", Field::Text("a\n".to_owned())),
            ("null", Field::Other),
            ("[[1], {\"a\": []}]", Field::Other),
            ("{\"a\": {}}", Field::Other),
        ] {
            assert_eq!(serde_json::from_str::<Field>(text).unwrap(), expected, "{text}");
        }
        for text in ["[1", "{\"a\"}", "1e400", "nul"] {
            assert!(serde_json::from_str::<Field>(text).is_err(), "{text}");
        }
    }
}
