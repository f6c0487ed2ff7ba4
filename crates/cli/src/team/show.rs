//! Prints data from a server, as raw JSON or as a table.

use crate::output;
use krt_model::escape;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

/// A column of a table: its title, and a function that formats an item's cell.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

/// Prints JSON.
pub(crate) fn json(value: &Value) -> anyhow::Result<()> {
    output::print_json(&serde_json::to_string_pretty(value)?)
}

/// Prints a list, one item per line.
pub(crate) fn table(list: &Value, columns: &[Column]) -> anyhow::Result<()> {
    let header: Vec<String> = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let row = |item: &Value| columns.iter().map(|(_, cell)| cell(item)).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(header).chain(list.as_array().into_iter().flatten().map(row)).collect();
    output::print(&align(&rows))
}

/// Prints one item, one property per line.
pub(crate) fn one(item: &Value, columns: &[Column]) -> anyhow::Result<()> {
    let row = |(title, cell): &Column| vec![format!("{}:", title.to_lowercase()), cell(item)];
    output::print(&align(&columns.iter().map(row).collect::<Vec<_>>()))
}

/// The text of a named value.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Formats a cell: the first line of a text, a list's items, `-` for a missing value.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => escape::line(text.lines().next().unwrap_or_default()).into_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Formats a time to the second: `2026-01-31 12:00:00Z`.
pub(crate) fn time(value: &Value) -> String {
    match value.as_str().and_then(|text| Some((text.get(..10)?, text.get(11..19)?))) {
        Some((date, time)) => escape::line(&format!("{date} {time}Z")).into_owned(),
        None => "-".to_owned(),
    }
}

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
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_they_must() {
        let rows = [["A", "BC"], ["long", "-"], ["日本", "x"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(align(&rows), "A     BC\nlong  -\n日本  x");
    }

    #[test]
    fn cells() {
        for (value, expected) in [
            (json!(null), "-"),
            (json!(""), "-"),
            (json!("one\ntwo"), "one"),
            (json!("\u{1b}[31mred"), "\\u{1b}[31mred"),
            (json!(true), "yes"),
            (json!(["a", "b"]), "a, b"),
            (json!([]), "-"),
            (json!(3), "3"),
        ] {
            assert_eq!(cell(&value), expected);
        }
        assert_eq!(time(&json!("2026-01-31T12:00:00.123456Z")), "2026-01-31 12:00:00Z");
        assert_eq!((&*time(&json!(null)), &*time(&json!("soon"))), ("-", "-"));
    }
}
