//! Builds a chunk point by point.

use super::{FORMAT, MAX_COLUMNS, MAX_ROWS, column::Column};
use crate::{
    bytes::{put_signed, put_varint},
    point::Value,
};

/// Limits of a full chunk: cells, present or not, and bytes of text.
const MAX_CELLS: usize = 256 << 10;
const MAX_BYTES: usize = 1 << 20;

/// A chunk under construction.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    times: Vec<i64>,
    columns: Vec<Column>,
    text_bytes: usize,
}

impl Builder {
    /// The number of points.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether the chunk should be written before the next point.
    pub(crate) fn is_full(&self) -> bool {
        let rows = self.times.len();
        rows >= MAX_ROWS
            || rows * self.columns.len() >= MAX_CELLS
            || self.text_bytes >= MAX_BYTES
            // A point adds at most 255 columns.
            || self.columns.len() > MAX_COLUMNS - 255
    }

    /// The first and last time.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        Some((*self.times.iter().min()?, *self.times.iter().max()?))
    }

    /// Begins a point.
    pub(crate) fn start(&mut self, time: i64) {
        self.times.push(time);
    }

    /// Adds a field to the current point. `position` is its index in the point, where the previous point
    /// usually has the same column.
    pub(crate) fn field(&mut self, position: usize, name: &str, value: &Value<'_>) {
        let row = self.times.len() - 1;
        if let Value::Text(text) = value {
            self.text_bytes += text.len();
        }
        let at_position = self.columns.get(position).filter(|column| column.takes(name, value));
        let found = match at_position {
            Some(_) => Some(position),
            None => self.columns.iter().position(|column| column.takes(name, value)),
        };
        let index = found.unwrap_or_else(|| {
            self.columns.push(Column::new(name, value));
            self.columns.len() - 1
        });
        self.columns[index].push(row, value);
    }

    /// Encodes the chunk.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.times.len() * 24);
        out.push(FORMAT);
        put_varint(&mut out, self.times.len() as u64);
        let mut last = 0_i64;
        for &time in &self.times {
            put_signed(&mut out, time.wrapping_sub(last));
            last = time;
        }
        let used = || self.columns.iter().filter(|column| column.is_used());
        put_varint(&mut out, used().count() as u64);
        let mut one = Vec::new();
        for column in used() {
            one.clear();
            column.encode(self.times.len(), &mut one);
            put_varint(&mut out, one.len() as u64);
            out.extend_from_slice(&one);
        }
        out
    }

    /// Clears the points and keeps the memory of used columns.
    pub(crate) fn clear(&mut self) {
        self.times.clear();
        self.columns.retain_mut(Column::clear);
        self.text_bytes = 0;
    }
}
