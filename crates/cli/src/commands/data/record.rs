//! One result of any topic: names and values.

use crate::time_spec;
use krt_store::Value;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// One result: a row in a table and in CSV, an object in JSON.
#[derive(Debug, Default)]
pub(super) struct Record {
    fields: Vec<(Column, Cell)>,
}

/// The position of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Column {
    /// The object within the record that contains the value.
    group: Option<&'static str>,
    name: Cow<'static, str>,
}

/// A value.
#[derive(Debug)]
pub(super) enum Cell {
    /// No value, in a record that could have one.
    Missing,
    Text(String),
    Int(i64),
    Count(u64),
    Float(f64),
    Bool(bool),
    /// Nanoseconds since the Unix epoch.
    Time(i64),
    /// An unordered list of texts.
    List(Vec<String>),
    /// A size on disk.
    Bytes(u64),
    /// A value of a document, as Extended JSON.
    Json(Box<RawValue>),
}

impl Record {
    /// Adds a value.
    pub(super) fn with(mut self, name: impl Into<Cow<'static, str>>, cell: impl Into<Cell>) -> Self {
        self.fields.push((Column { group: None, name: name.into() }, cell.into()));
        self
    }

    /// Adds the values of an object within the record.
    pub(super) fn with_group<C: Into<Cell>>(
        mut self,
        group: &'static str,
        fields: impl IntoIterator<Item = (String, C)>,
    ) -> Self {
        let column = |name: String| Column { group: Some(group), name: name.into() };
        self.fields.extend(fields.into_iter().map(|(name, cell)| (column(name), cell.into())));
        self
    }

    /// The values, in order.
    pub(super) fn fields(&self) -> &[(Column, Cell)] {
        &self.fields
    }
}

impl Column {
    /// The group, which decides the column's position.
    pub(super) fn group(&self) -> Option<&'static str> {
        self.group
    }

    /// The bare name, for people.
    pub(super) fn title(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Column {
    /// The path to the value in the record's JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            Some(group) => write!(f, "{group}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Cell {
    /// Whether the value is right-aligned.
    pub(super) fn is_number(&self) -> bool {
        match self {
            Self::Int(_) | Self::Count(_) | Self::Float(_) | Self::Bytes(_) => true,
            Self::Json(json) => json.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()),
            Self::Missing | Self::Text(_) | Self::Bool(_) | Self::Time(_) | Self::List(_) => false,
        }
    }

    /// The complete value as text, for programs.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Missing => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Int(number) => number.to_string().into(),
            Self::Count(number) | Self::Bytes(number) => number.to_string().into(),
            Self::Float(number) => number.to_string().into(),
            Self::Bool(truth) => truth.to_string().into(),
            Self::Time(nanos) => time_spec::show(*nanos).into(),
            Self::List(texts) => texts.join(",").into(),
            Self::Json(json) => plain(json.get()),
        }
    }

    /// The value formatted for people.
    pub(super) fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Float(number) => rounded(*number).into(),
            Self::Bytes(bytes) => size(*bytes).into(),
            other => other.text(),
        }
    }
}

/// The text of a JSON value that is a string, or represents one, such as a date or an ObjectId. `null` is
/// empty.
fn plain(json: &str) -> Cow<'_, str> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Plain {
        Text(String),
        Date {
            #[serde(rename = "$date")]
            text: String,
        },
        Id {
            #[serde(rename = "$oid")]
            text: String,
        },
    }
    match serde_json::from_str(json) {
        Ok(Plain::Text(text) | Plain::Date { text } | Plain::Id { text }) => Cow::Owned(text),
        Err(_) if json == "null" => Cow::Borrowed(""),
        Err(_) => Cow::Borrowed(json),
    }
}

/// Formats a number with three decimals, or with an exponent where three decimals would say little.
fn rounded(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(0.001..1e15).contains(&size) {
        format!("{number:.3e}")
    } else {
        format!("{number:.3}")
    }
}

/// Formats "1.5 MiB".
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for fields in
            self.fields.chunk_by(|(one, _), (other, _)| one.group.is_some() && one.group == other.group)
        {
            match fields {
                [(Column { group: Some(group), .. }, _), ..] => map.serialize_entry(group, &Group(fields))?,
                fields => put(&mut map, fields)?,
            }
        }
        map.end()
    }
}

/// The values of an object within a record.
struct Group<'a>(&'a [(Column, Cell)]);

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        put(&mut map, self.0)?;
        map.end()
    }
}

fn put<M: serde::ser::SerializeMap>(map: &mut M, fields: &[(Column, Cell)]) -> Result<(), M::Error> {
    let present = fields.iter().filter(|(_, cell)| !matches!(cell, Cell::Missing));
    present.into_iter().try_for_each(|(column, cell)| map.serialize_entry(&column.name, cell))
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Count(number) | Self::Bytes(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Time(nanos) => serializer.serialize_str(&time_spec::show(*nanos)),
            Self::List(texts) => texts.serialize(serializer),
            Self::Json(json) => json.serialize(serializer),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<C: Into<Self>> From<Option<C>> for Cell {
    fn from(cell: Option<C>) -> Self {
        cell.map_or(Self::Missing, Into::into)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Count(number)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Box<RawValue>> for Cell {
    fn from(json: Box<RawValue>) -> Self {
        Self::Json(json)
    }
}

impl From<Value<'_>> for Cell {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.into_owned()),
            Value::Int(number) => Self::Int(number),
            Value::Float(number) => Self::Float(number),
            Value::Bool(truth) => Self::Bool(truth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_documents_as_text() {
        for (json, text) in [
            ("\"a\\nb\"", "a\nb"),
            ("{\"$date\":\"2026-01-31T12:00:00Z\"}", "2026-01-31T12:00:00Z"),
            ("{\"$oid\":\"65a000000000000000000000\"}", "65a000000000000000000000"),
            ("{\"$numberDouble\":\"NaN\"}", "{\"$numberDouble\":\"NaN\"}"),
            ("null", ""),
            ("[1,2]", "[1,2]"),
            ("1.50", "1.50"),
        ] {
            assert_eq!(plain(json), text);
        }
    }

    #[test]
    fn human_readable_numbers() {
        for (number, text) in
            [(0.0, "0.000"), (12.3456, "12.346"), (0.000_012_34, "1.234e-5"), (-1e20, "-1.000e20")]
        {
            assert_eq!(rounded(number), text);
        }
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB")] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn groups_are_objects() {
        let record = Record::default()
            .with("time", Cell::Time(0))
            .with("node", None::<String>)
            .with_group("tags", [("a".to_owned(), "x")])
            .with_group("fields", [("a".to_owned(), 0.5)]);
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"time":"1970-01-01T00:00:00.000Z","tags":{"a":"x"},"fields":{"a":0.5}}"#
        );
        let columns: Vec<_> = record.fields().iter().map(|(column, _)| column.to_string()).collect();
        assert_eq!(columns, ["time", "node", "tags.a", "fields.a"]);
    }
}
