//! Reads Extended JSON.

use super::extended;
use bson::{Bson, Document};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::Track;
use std::fmt;

/// Why a text is not a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// The wrong field, with dots; empty where the text itself is wrong.
    pub field: String,
    /// What is wrong.
    pub reason: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1; 0 at the start of a line.
    pub column: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, reason, line, column } = self;
        match field.as_str() {
            "" => write!(f, "not a document: {reason}, line {line}, column {column}"),
            field => write!(f, "the field `{field}` is wrong: {reason}, line {line}, column {column}"),
        }
    }
}

impl std::error::Error for JsonError {}

/// Parses a document from Extended JSON.
pub fn parse_document(text: &str) -> Result<Document, JsonError> {
    // The field is located only after an error, because that takes time.
    read(text, |json| Top.deserialize(json)).map_err(|error| explain(text, &error))
}

fn read(
    text: &str,
    how: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::StrRead<'_>>) -> serde_json::Result<Document>,
) -> serde_json::Result<Document> {
    let mut json = serde_json::Deserializer::from_str(text);
    let document = how(&mut json)?;
    json.end()?;
    Ok(document)
}

fn explain(text: &str, error: &serde_json::Error) -> JsonError {
    let mut track = Track::new();
    let again = read(text, |json| Top.deserialize(serde_path_to_error::Deserializer::new(json, &mut track)));
    let path = track.path();
    let field = match again {
        Err(_) if path.iter().next().is_some() && !error.is_syntax() => path.to_string(),
        _ => String::new(),
    };
    let position = format!(" at line {} column {}", error.line(), error.column());
    let reason = error.to_string();
    let reason = reason.strip_suffix(&position).unwrap_or(&reason).to_owned();
    JsonError { field, reason, line: error.line(), column: error.column() }
}

/// Reads a document.
struct Top;

impl<'de> DeserializeSeed<'de> for Top {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        match deserializer.deserialize_any(Value)? {
            Bson::Document(document) => Ok(document),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

/// Reads any value. The JSON reader limits the depth.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Bson;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Bson, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Bson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Bson, E> {
        Ok(Bson::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Bson, E> {
        Ok(Bson::Boolean(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Bson, E> {
        Ok(i32::try_from(value).map_or(Bson::Int64(value), Bson::Int32))
    }

    /// A number beyond 64 bits becomes a floating-point number, as the specification requires.
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Bson, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Ok(Bson::Double(value as f64)),
        }
    }

    fn visit_f64<E>(self, value: f64) -> Result<Bson, E> {
        Ok(Bson::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Bson, E> {
        Ok(Bson::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Bson, E> {
        Ok(Bson::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Bson, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(Bson::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bson, A::Error> {
        let mut document = Document::new();
        while let Some(name) = map.next_key::<String>()? {
            document.insert(name, map.next_value_seed(Self)?);
        }
        extended::value(document).map_err(A::Error::custom)
    }
}
