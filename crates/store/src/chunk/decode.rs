//! Decodes chunks. Input is not trusted: a damaged chunk yields `None`.

use super::{FORMAT, MAX_COLUMNS, MAX_ROWS, kind};
use crate::{bytes::Cursor, point::Value};

/// The points of a chunk.
#[derive(Debug, PartialEq)]
pub(crate) struct Chunk<'a> {
    /// The time of each row.
    pub(crate) times: Vec<i64>,
    /// The fields; each has a value or `None` for every row.
    pub(crate) columns: Vec<(&'a str, Vec<Option<Value<'a>>>)>,
}

/// Decodes a chunk, but only the wanted fields.
pub(crate) fn decode(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Option<Chunk<'_>> {
    let mut columns = Vec::new();
    let times = columns_of(bytes, |name, column, times| {
        if wanted(name) {
            columns.push((name, decode_column(column, times.len())?));
        }
        Some(())
    })?;
    Some(Chunk { times, columns })
}

/// The numbers of a field with their times.
pub(crate) fn numbers(bytes: &[u8], field: &str) -> Option<Vec<(i64, f64)>> {
    let mut numbers = Vec::new();
    columns_of(bytes, |name, column, times| {
        if name == field {
            let kind = column.u8()?;
            let rows = Rows::read(column, times.len())?;
            if let Some(values) = decode_numbers(column, kind, rows.count) {
                numbers.extend(rows.iter().map(|row| times[row]).zip(values?));
            }
        }
        Some(())
    })?;
    Some(numbers)
}

/// The names of the numeric fields.
pub(crate) fn numeric_fields(bytes: &[u8]) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    columns_of(bytes, |name, column, _| {
        if matches!(column.u8()?, kind::INTS | kind::FLOATS | kind::MILLIONTHS) {
            names.push(name);
        }
        Some(())
    })?;
    Some(names)
}

/// Visits the columns, each with its name and the times of the rows; returns the times.
fn columns_of<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut(&'a str, &mut Cursor<'a>, &[i64]) -> Option<()>,
) -> Option<Vec<i64>> {
    let mut cursor = Cursor::new(bytes);
    if cursor.u8()? != FORMAT {
        return None;
    }
    // A row takes at least one byte for its time, so a false count cannot exhaust memory.
    let rows = cursor.count(MAX_ROWS.min(cursor.len()))?;
    let times = decode_ints(&mut cursor, rows)?;
    for _ in 0..cursor.count(MAX_COLUMNS)? {
        let size = cursor.count(cursor.len())?;
        let mut column = Cursor::new(cursor.take(size)?);
        each(column.short_text()?, &mut column, &times)?;
    }
    cursor.is_empty().then_some(times)
}

/// The rows with a value in a column.
struct Rows {
    /// `None` stands for all rows.
    present: Option<Vec<bool>>,
    all: usize,
    count: usize,
}

impl Rows {
    fn read(cursor: &mut Cursor<'_>, all: usize) -> Option<Self> {
        let present = match cursor.u8()? {
            0 => None,
            _ => Some(decode_bits(cursor, all)?),
        };
        let count = present.as_ref().map_or(all, |present| present.iter().filter(|has| **has).count());
        Some(Self { present, all, count })
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.all).filter(|row| self.present.as_ref().is_none_or(|present| present[*row]))
    }
}

fn decode_column<'a>(cursor: &mut Cursor<'a>, rows: usize) -> Option<Vec<Option<Value<'a>>>> {
    let kind = cursor.u8()?;
    let rows = Rows::read(cursor, rows)?;
    let values = decode_values(cursor, kind, rows.count)?;
    let Some(present) = rows.present else { return Some(values.into_iter().map(Some).collect()) };
    let mut values = values.into_iter();
    Some(present.into_iter().map(|has| has.then(|| values.next()).flatten()).collect())
}

/// `None` where the values are not numbers.
fn decode_numbers(cursor: &mut Cursor<'_>, kind: u8, count: usize) -> Option<Option<Vec<f64>>> {
    Some(match kind {
        kind::INTS => decode_ints(cursor, count).map(|ints| ints.into_iter().map(|int| int as f64).collect()),
        kind::FLOATS => (0..count).map(|_| cursor.f64()).collect(),
        kind::MILLIONTHS => (0..count).map(|_| Some(cursor.signed()? as f64 / 1e6)).collect(),
        _ => return None,
    })
}

fn decode_values<'a>(cursor: &mut Cursor<'a>, kind: u8, count: usize) -> Option<Vec<Value<'a>>> {
    match kind {
        kind::TEXTS => (0..count).map(|_| decode_text(cursor)).collect(),
        kind::DICTIONARY => decode_dictionary(cursor, count),
        kind::UUIDS => decode_uuids(cursor, count),
        kind::INTS => Some(decode_ints(cursor, count)?.into_iter().map(Value::Int).collect()),
        kind::FLOATS => (0..count).map(|_| cursor.f64().map(Value::Float)).collect(),
        kind::MILLIONTHS => (0..count).map(|_| Some(Value::Float(cursor.signed()? as f64 / 1e6))).collect(),
        kind::BOOLS => Some(decode_bits(cursor, count)?.into_iter().map(Value::Bool).collect()),
        _ => None,
    }
}

fn decode_ints(cursor: &mut Cursor<'_>, count: usize) -> Option<Vec<i64>> {
    let mut last = 0_i64;
    let mut next = || {
        last = last.wrapping_add(cursor.signed()?);
        Some(last)
    };
    (0..count).map(|_| next()).collect()
}

fn decode_bits(cursor: &mut Cursor<'_>, count: usize) -> Option<Vec<bool>> {
    let bytes = cursor.take(count.div_ceil(8))?;
    Some((0..count).map(|index| bytes[index / 8] >> (index % 8) & 1 == 1).collect())
}

fn decode_text<'a>(cursor: &mut Cursor<'a>) -> Option<Value<'a>> {
    let size = cursor.count(cursor.len())?;
    Some(str::from_utf8(cursor.take(size)?).ok()?.into())
}

fn decode_dictionary<'a>(cursor: &mut Cursor<'a>, count: usize) -> Option<Vec<Value<'a>>> {
    let words = cursor.count(256)?;
    let words: Vec<_> = (0..words).map(|_| decode_text(cursor)).collect::<Option<_>>()?;
    if let [word] = words.as_slice() {
        return Some(vec![word.clone(); count]);
    }
    cursor.take(count)?.iter().map(|&index| words.get(usize::from(index)).cloned()).collect()
}

fn decode_uuids<'a>(cursor: &mut Cursor<'a>, count: usize) -> Option<Vec<Value<'a>>> {
    let mut high = 0_i64;
    let mut next = || {
        high = high.wrapping_add(cursor.signed()?);
        let low: [u8; 10] = cursor.array()?;
        Some(Value::Text(write_uuid(high, low).into()))
    };
    (0..count).map(|_| next()).collect()
}

fn write_uuid(high: i64, low: [u8; 10]) -> String {
    let mut text = String::with_capacity(36);
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    for (index, byte) in high.to_be_bytes()[2..].iter().chain(&low).enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text
}
