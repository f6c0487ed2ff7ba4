//! Points, and their encoding while they wait for the writer.
//!
//! A waiting point is a few bytes at the end of a shared buffer: its series (measurement and sorted tags,
//! encoded once by [`Key`]), its time and its fields. It needs no allocation.

use crate::{
    bytes::{Cursor, put_long, put_short},
    error::PointError,
};
use std::{borrow::Cow, sync::Arc};

/// The most fields of a point.
pub const MAX_FIELDS: usize = 255;
/// The longest name or tag, in bytes.
pub const MAX_NAME: usize = 1024;
/// The longest text in a field, in bytes.
pub const MAX_TEXT: usize = 64 << 10;
/// The longest measurement with its tags, in bytes.
const MAX_KEY: usize = 16 << 10;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A boolean.
    Bool(bool),
}

impl Value<'_> {
    /// The value with owned text.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(text.into_owned().into()),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            Self::Bool(value) => Value::Bool(value),
        }
    }

    /// The value as a number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match *self {
            Self::Int(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Text(_) | Self::Bool(_) => None,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value.into())
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A point of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point<'a> {
    /// The name of the measurement.
    pub measurement: &'a str,
    /// The names and values of the tags, in any order.
    pub tags: &'a [(&'a str, &'a str)],
    /// The names and values of the fields; at least one.
    pub fields: &'a [(&'a str, Value<'a>)],
    /// The time, in nanoseconds since the Unix epoch.
    pub time: i64,
}

impl Point<'_> {
    /// Validates the fields; [`put_key`] validates the rest.
    pub(crate) fn check(&self) -> Result<(), PointError> {
        let measurement = || self.measurement.to_owned();
        if self.fields.is_empty() {
            return Err(PointError::NoFields { measurement: measurement() });
        }
        if self.fields.len() > MAX_FIELDS {
            let count = self.fields.len();
            return Err(PointError::TooManyFields { measurement: measurement(), count, max: MAX_FIELDS });
        }
        self.fields.iter().try_for_each(|(name, value)| self.check_field(name, value))
    }

    fn check_field(&self, name: &str, value: &Value<'_>) -> Result<(), PointError> {
        check_name(self.measurement, name)?;
        let measurement = || self.measurement.to_owned();
        match value {
            Value::Float(number) if !number.is_finite() => {
                Err(PointError::NotFinite { measurement: measurement(), field: name.to_owned() })
            }
            Value::Text(text) if text.len() > MAX_TEXT => Err(PointError::TooLong {
                measurement: measurement(),
                name: name.to_owned(),
                size: text.len(),
                max: MAX_TEXT,
            }),
            _ => Ok(()),
        }
    }
}

fn check_name(measurement: &str, name: &str) -> Result<(), PointError> {
    match name.len() {
        0 => Err(PointError::EmptyName { measurement: measurement.to_owned() }),
        size if size > MAX_NAME => Err(PointError::TooLong {
            measurement: measurement.chars().take(80).collect(),
            name: name.chars().take(80).collect(),
            size,
            max: MAX_NAME,
        }),
        _ => Ok(()),
    }
}

/// A measurement with its tags, encoded for each of its points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(Arc<[u8]>);

impl Key {
    /// Encodes a measurement and its tags, sorted; of two equal names the last wins.
    pub(crate) fn new(measurement: &str, tags: &[(&str, &str)]) -> Result<Self, PointError> {
        let mut key = Vec::with_capacity(128);
        put_key(&mut key, measurement, tags)?;
        Ok(Self(key.into()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Appends a measurement and its sorted tags.
pub(crate) fn put_key(out: &mut Vec<u8>, measurement: &str, tags: &[(&str, &str)]) -> Result<(), PointError> {
    if measurement.is_empty() {
        return Err(PointError::NoName);
    }
    check_name(measurement, measurement)?;
    for (name, value) in tags {
        check_name(measurement, name)?;
        check_name(measurement, if value.is_empty() { name } else { value })?;
    }
    let start = out.len();
    put_short(out, measurement.as_bytes());
    let mut sorted: Vec<_> = tags.iter().rev().collect();
    sorted.sort_by_key(|(name, _)| *name);
    sorted.dedup_by_key(|(name, _)| *name);
    for (name, value) in sorted {
        put_short(out, name.as_bytes());
        put_short(out, value.as_bytes());
    }
    let size = out.len() - start;
    if size > MAX_KEY {
        let measurement = measurement.to_owned();
        return Err(PointError::TooLong { measurement, name: "all tags".to_owned(), size, max: MAX_KEY });
    }
    Ok(())
}

/// Decodes a key to the measurement and its tags, sorted by name.
pub(crate) fn parse_key(key: &[u8]) -> Option<(&str, Vec<(&str, &str)>)> {
    let mut cursor = Cursor::new(key);
    let measurement = cursor.short_text()?;
    let mut tags = Vec::new();
    while !cursor.is_empty() {
        tags.push((cursor.short_text()?, cursor.short_text()?));
    }
    Some((measurement, tags))
}

const TEXT: u8 = 0;
const INT: u8 = 1;
const FLOAT: u8 = 2;
const FALSE: u8 = 3;
const TRUE: u8 = 4;

/// Appends an encoded point. The limits were checked before; surplus fields are cut.
pub(crate) fn put_row(out: &mut Vec<u8>, key: &[u8], time: i64, fields: &[(&str, Value<'_>)]) {
    put_short(out, key);
    out.extend_from_slice(&time.to_le_bytes());
    let fields = &fields[..fields.len().min(MAX_FIELDS)];
    out.push(fields.len() as u8);
    for (name, value) in fields {
        put_short(out, name.as_bytes());
        match value {
            Value::Text(text) => {
                out.push(TEXT);
                put_long(out, text.as_bytes());
            }
            Value::Int(number) => {
                out.push(INT);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Value::Float(number) => {
                out.push(FLOAT);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Value::Bool(truth) => out.push(if *truth { TRUE } else { FALSE }),
        }
    }
}

/// An encoded point, as the writer reads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) time: i64,
    count: u8,
}

impl<'a> Row<'a> {
    /// Decodes the start of a point; its fields follow.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        Some(Self { key: cursor.short()?, time: cursor.i64()?, count: cursor.u8()? })
    }

    /// Decodes its fields.
    pub(crate) fn fields(
        self,
        cursor: &mut Cursor<'a>,
        mut each: impl FnMut(&'a str, Value<'a>),
    ) -> Option<()> {
        for _ in 0..self.count {
            let name = cursor.short_text()?;
            each(name, read_value(cursor)?);
        }
        Some(())
    }
}

/// Decodes encoded points one after another.
pub(crate) fn read_points(rows: &[u8], mut each: impl FnMut(&Point<'_>)) {
    let mut cursor = Cursor::new(rows);
    while let Some(row) = Row::read(&mut cursor) {
        let mut fields = Vec::with_capacity(row.count.into());
        let read = row.fields(&mut cursor, |name, value| fields.push((name, value)));
        let (Some(()), Some((measurement, tags))) = (read, parse_key(row.key)) else { break };
        each(&Point { measurement, tags: &tags, fields: &fields, time: row.time });
    }
    debug_assert!(cursor.is_empty(), "a waiting point is whole");
}

fn read_value<'a>(cursor: &mut Cursor<'a>) -> Option<Value<'a>> {
    Some(match cursor.u8()? {
        TEXT => Value::Text(cursor.long_text()?.into()),
        INT => Value::Int(cursor.i64()?),
        FLOAT => Value::Float(cursor.f64()?),
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        _ => return None,
    })
}
