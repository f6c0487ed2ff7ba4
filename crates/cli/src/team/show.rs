//! Prints data from a server, as JSON or as a table.

use crate::{error::Result, output};
use krt_api::{Time, config::ConfigKind};
use krt_model::{
    escape,
    team::{Role, State},
};
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

/// A column of a table: its title, and a function that formats an item's cell.
pub(crate) type Column<T> = (&'static str, fn(&T) -> String);

/// Prints JSON, with the names of each object in alphabetical order.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    output::print_json(&serde_json::to_string_pretty(&serde_json::to_value(value)?)?)
}

/// Prints a list, one item per line, or as JSON.
pub(crate) fn list<T: Serialize>(items: &[T], columns: &[Column<T>], json: bool) -> Result<()> {
    if json { self::json(&items) } else { table(items, columns) }
}

/// Prints one item, one property per line, or as JSON.
pub(crate) fn item<T: Serialize>(item: &T, columns: &[Column<T>], json: bool) -> Result<()> {
    if json {
        return self::json(item);
    }
    let row = |(title, cell): &Column<T>| vec![format!("{}:", title.to_lowercase()), cell(item)];
    output::print(&align(&columns.iter().map(row).collect::<Vec<_>>()))
}

/// Prints a list, one item per line.
pub(crate) fn table<T>(items: &[T], columns: &[Column<T>]) -> Result<()> {
    let header: Vec<String> = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let row = |item: &T| columns.iter().map(|(_, cell)| cell(item)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(items.iter().map(row)).collect();
    output::print(&align(&rows))
}

/// A value that a cell shows; `-` where there is none.
pub(crate) trait Cell {
    /// The cell's text, on one line.
    fn cell(&self) -> String;
}

/// The text of a cell.
pub(crate) fn cell(value: &impl Cell) -> String {
    value.cell()
}

impl Cell for str {
    /// The first line.
    fn cell(&self) -> String {
        match self.lines().next() {
            Some(line) => escape::line(line).into_owned(),
            None => "-".to_owned(),
        }
    }
}

impl Cell for String {
    fn cell(&self) -> String {
        self.as_str().cell()
    }
}

impl<T: Cell> Cell for Option<T> {
    fn cell(&self) -> String {
        self.as_ref().map_or_else(|| "-".to_owned(), Cell::cell)
    }
}

impl<T: Cell> Cell for Vec<T> {
    fn cell(&self) -> String {
        match self.as_slice() {
            [] => "-".to_owned(),
            items => items.iter().map(Cell::cell).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Cell for bool {
    fn cell(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

impl Cell for Time {
    /// The time to the second: `2026-01-31 12:00:00Z`.
    fn cell(&self) -> String {
        let text = self.to_string();
        match (text.get(..10), text.get(11..19)) {
            (Some(date), Some(time)) => format!("{date} {time}Z"),
            _ => text,
        }
    }
}

impl Cell for ConfigKind {
    fn cell(&self) -> String {
        match self {
            Self::Variable => "variable",
            Self::File => "file",
        }
        .to_owned()
    }
}

/// Shows values as they display themselves.
macro_rules! displayed {
    ($($kind:ty),*) => {$(
        impl Cell for $kind {
            fn cell(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

displayed!(u32, u64, Role, State);

fn align(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let pad = |(cell, width): (&String, &usize)| format!("{cell}{}", " ".repeat(width - cell.width()));
        row.iter().zip(&widths).map(pad).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_needed() {
        let rows = [["A", "BC"], ["long", "-"], ["日本", "x"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(align(&rows), "A     BC\nlong  -\n日本  x");
    }

    #[test]
    fn cells() {
        let text = |text: &str| text.cell();
        for (found, expected) in [
            (cell(&None::<String>), "-"),
            (text(""), "-"),
            (text("one\ntwo"), "one"),
            (text("\u{1b}[31mred"), "\\u{1b}[31mred"),
            (cell(&true), "yes"),
            (cell(&vec!["a".to_owned(), "b".to_owned()]), "a, b"),
            (cell(&Vec::<String>::new()), "-"),
            (cell(&3_u32), "3"),
            (cell(&"2026-01-31T12:00:00.123456Z".parse::<Time>().unwrap()), "2026-01-31 12:00:00Z"),
            (cell(&State::Error), "ERROR"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
