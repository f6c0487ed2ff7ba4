//! A column of a chunk under construction, and its encodings.

use super::kind;
use crate::{
    bytes::{put_short, put_signed, put_varint},
    point::Value,
};
use std::collections::HashMap;

/// The values of one field, all of one kind, in row order.
#[derive(Debug)]
pub(super) struct Column {
    name: Box<str>,
    /// The rows without this field.
    missing: Vec<u32>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Text { bytes: Vec<u8>, ends: Vec<u32> },
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
}

impl Column {
    /// An empty column for values like this one.
    pub(super) fn new(name: &str, like: &Value<'_>) -> Self {
        let values = match like {
            Value::Text(_) => Values::Text { bytes: Vec::new(), ends: Vec::new() },
            Value::Int(_) => Values::Int(Vec::new()),
            Value::Float(_) => Values::Float(Vec::new()),
            Value::Bool(_) => Values::Bool(Vec::new()),
        };
        Self { name: name.into(), missing: Vec::new(), values }
    }

    /// Whether this is the column for a field of this name and kind.
    pub(super) fn takes(&self, name: &str, value: &Value<'_>) -> bool {
        let kind = matches!(
            (&self.values, value),
            (Values::Text { .. }, Value::Text(_))
                | (Values::Int(_), Value::Int(_))
                | (Values::Float(_), Value::Float(_))
                | (Values::Bool(_), Value::Bool(_))
        );
        kind && *self.name == *name
    }

    /// Adds the value of a row. A second value of the same row is ignored.
    pub(super) fn push(&mut self, row: usize, value: &Value<'_>) {
        let known = self.rows();
        if known > row {
            return;
        }
        self.missing.extend(known as u32..row as u32);
        match (&mut self.values, value) {
            (Values::Text { bytes, ends }, Value::Text(text)) => {
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len() as u32);
            }
            (Values::Int(values), Value::Int(value)) => values.push(*value),
            (Values::Float(values), Value::Float(value)) => values.push(*value),
            (Values::Bool(values), Value::Bool(value)) => values.push(*value),
            _ => self.missing.push(row as u32),
        }
    }

    /// The number of rows covered so far.
    fn rows(&self) -> usize {
        let values = match &self.values {
            Values::Text { ends, .. } => ends.len(),
            Values::Int(values) => values.len(),
            Values::Float(values) => values.len(),
            Values::Bool(values) => values.len(),
        };
        values + self.missing.len()
    }

    /// Clears the values and keeps their memory. Returns `false` when it had no values, so that the caller
    /// can drop it.
    pub(super) fn clear(&mut self) -> bool {
        self.missing.clear();
        match &mut self.values {
            Values::Text { bytes, ends } => {
                bytes.clear();
                let used = !ends.is_empty();
                ends.clear();
                used
            }
            Values::Int(values) => emptied(values),
            Values::Float(values) => emptied(values),
            Values::Bool(values) => emptied(values),
        }
    }

    /// Whether any row has the field.
    pub(super) fn is_used(&self) -> bool {
        self.rows() > self.missing.len()
    }

    /// Encodes the column of a chunk with this many rows.
    pub(super) fn encode(&self, rows: usize, out: &mut Vec<u8>) {
        put_short(out, self.name.as_bytes());
        let kind_at = out.len();
        out.push(0);
        self.encode_presence(rows, out);
        out[kind_at] = match &self.values {
            Values::Text { bytes, ends } => encode_texts(&Texts { bytes, ends }, out),
            Values::Int(values) => encode_ints(values, out),
            Values::Float(values) => encode_floats(values, out),
            Values::Bool(values) => {
                put_bits(out, values.len(), |index| values[index]);
                kind::BOOLS
            }
        };
    }

    fn encode_presence(&self, rows: usize, out: &mut Vec<u8>) {
        let known = self.rows();
        if self.missing.is_empty() && known == rows {
            out.push(0);
            return;
        }
        out.push(1);
        let mut present = vec![true; rows];
        present[known..].fill(false);
        self.missing.iter().for_each(|&row| present[row as usize] = false);
        put_bits(out, rows, |row| present[row]);
    }
}

fn emptied<T>(values: &mut Vec<T>) -> bool {
    let used = !values.is_empty();
    values.clear();
    used
}

fn put_bits(out: &mut Vec<u8>, count: usize, bit: impl Fn(usize) -> bool) {
    let byte = |start: usize| {
        (start..(start + 8).min(count)).fold(0, |byte, index| byte | u8::from(bit(index)) << (index - start))
    };
    out.extend((0..count).step_by(8).map(byte));
}

fn encode_ints(values: &[i64], out: &mut Vec<u8>) -> u8 {
    let mut last = 0_i64;
    for &value in values {
        put_signed(out, value.wrapping_sub(last));
        last = value;
    }
    kind::INTS
}

/// Encodes as millionths where every value is an exact multiple, bit for bit; otherwise as plain floats.
fn encode_floats(values: &[f64], out: &mut Vec<u8>) -> u8 {
    let start = out.len();
    for &value in values {
        let Some(whole) = millionths(value) else {
            out.truncate(start);
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            return kind::FLOATS;
        };
        put_signed(out, whole);
    }
    kind::MILLIONTHS
}

fn millionths(value: f64) -> Option<i64> {
    let whole = (value * 1e6).round() as i64;
    let exact = whole.unsigned_abs() < 1 << 53 && (whole as f64 / 1e6).to_bits() == value.to_bits();
    exact.then_some(whole)
}

struct Texts<'a> {
    bytes: &'a [u8],
    ends: &'a [u32],
}

impl<'a> Texts<'a> {
    fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let (bytes, ends) = (self.bytes, self.ends);
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| ends[before] as usize);
        ends.iter().enumerate().map(move |(index, &end)| &bytes[start(index)..end as usize])
    }
}

fn encode_texts(texts: &Texts<'_>, out: &mut Vec<u8>) -> u8 {
    let start = out.len();
    if encode_uuids(texts, out).is_some() {
        return kind::UUIDS;
    }
    out.truncate(start);
    if encode_dictionary(texts, out).is_some() {
        return kind::DICTIONARY;
    }
    for text in texts.iter() {
        put_varint(out, text.len() as u64);
        out.extend_from_slice(text);
    }
    kind::TEXTS
}

/// `None` where a text is not a lowercase, hyphenated UUID.
fn encode_uuids(texts: &Texts<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut last = 0;
    for text in texts.iter() {
        let uuid = parse_uuid(text)?;
        let high = (uuid >> 80) as i64;
        put_signed(out, high - last);
        out.extend_from_slice(&uuid.to_be_bytes()[6..]);
        last = high;
    }
    Some(())
}

fn parse_uuid(text: &[u8]) -> Option<u128> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let mut uuid = 0;
    for (index, &byte) in text.iter().enumerate() {
        let digit = match (byte, index) {
            (b'-', 8 | 13 | 18 | 23) => continue,
            (_, 8 | 13 | 18 | 23) => return None,
            (b'0'..=b'9', _) => byte - b'0',
            (b'a'..=b'f', _) => byte - b'a' + 10,
            _ => return None,
        };
        uuid = uuid << 4 | u128::from(digit);
    }
    Some(uuid)
}

/// `None` where more than 255 texts differ, or too few repeat to save space.
fn encode_dictionary(texts: &Texts<'_>, out: &mut Vec<u8>) -> Option<()> {
    let most = (texts.ends.len() / 2).clamp(1, 255);
    let mut words: Vec<&[u8]> = Vec::new();
    let mut numbers: HashMap<&[u8], u8> = HashMap::new();
    let mut indexes = Vec::with_capacity(texts.ends.len());
    let mut last = 0_u8;
    for text in texts.iter() {
        if words.get(usize::from(last)) != Some(&text) {
            last = *numbers.entry(text).or_insert_with(|| {
                words.push(text);
                (words.len() - 1) as u8
            });
        }
        if words.len() > most {
            return None;
        }
        indexes.push(last);
    }
    put_varint(out, words.len() as u64);
    for word in &words {
        put_varint(out, word.len() as u64);
        out.extend_from_slice(word);
    }
    if words.len() > 1 {
        out.extend_from_slice(&indexes);
    }
    Some(())
}
