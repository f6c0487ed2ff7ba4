//! `pyproject.toml`: tells which of its tables decides.

use super::{Translation, parse_toml, poetry, project};
use crate::error::Error;
use std::path::Path;
use toml::Table;

/// The translation of a file's text; `None` where it only configures tools.
pub(super) fn translate(file: &Path, text: &str) -> Result<Option<Translation>, Error> {
    let document: Table = parse_toml(file, text)?;
    let none = Table::new();
    let tool = table(&document, "tool").unwrap_or(&none);
    match (table(&document, "project"), table(tool, "poetry")) {
        (Some(standard), Some(poetry)) if has_the_list(standard, poetry) => {
            let translation = poetry::translate(file, poetry)?;
            let python = translation.python.or(project::python(file, standard)?);
            Ok(Some(Translation { python, ..translation }))
        }
        (Some(standard), _) => project::translate(file, standard, tool).map(Some),
        (None, Some(poetry)) => poetry::translate(file, poetry).map(Some),
        (None, None) => Ok(None),
    }
}

/// Whether it is Poetry's table that lists the dependencies, beside a standard one that does not.
fn has_the_list(standard: &Table, poetry: &Table) -> bool {
    !standard.contains_key("dependencies") && poetry.contains_key("dependencies")
}

/// A table within a table.
pub(super) fn table<'t>(outer: &'t Table, key: &str) -> Option<&'t Table> {
    outer.get(key)?.as_table()
}

/// A list of tables; empty where there is none.
pub(super) fn tables<'t>(outer: &'t Table, key: &str) -> impl Iterator<Item = &'t Table> {
    outer.get(key).and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_table)
}
