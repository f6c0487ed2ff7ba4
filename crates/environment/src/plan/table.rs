//! Tables of a TOML file.

use toml::Table;

/// A table within a table.
pub(super) fn table<'t>(outer: &'t Table, key: &str) -> Option<&'t Table> {
    outer.get(key)?.as_table()
}

/// A list of tables; empty if absent.
pub(super) fn tables<'t>(outer: &'t Table, key: &str) -> impl Iterator<Item = &'t Table> {
    outer.get(key).and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_table)
}
