//! How what a server tells is shown: as it came, or as a table.

use crate::output;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

/// Prints JSON.
pub(crate) fn json(value: &Value) -> anyhow::Result<()> {
    output::print(&serde_json::to_string_pretty(value)?)
}

/// Prints what a list holds under some names, one line each.
pub(crate) fn table(list: &Value, columns: &[&str]) -> anyhow::Result<()> {
    let header: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
    let row = |item: &Value| columns.iter().map(|column| cell(&item[*column])).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(header).chain(list.as_array().into_iter().flatten().map(row)).collect();
    output::print(&align(&rows))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
        other => other.to_string(),
    }
}

fn align(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must() {
        let rows = [["A", "BC"], ["long", "-"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(align(&rows), "A     BC\nlong  -");
    }
}
