//! `pyproject.toml`: chooses the table that decides.

use super::{Translation, parse_toml, poetry, project, table::table};
use crate::error::Error;
use pep440_rs::VersionSpecifiers;
use std::path::Path;
use toml::Table;

/// The translation of a file's text; `None` if it only configures tools.
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

/// The Python versions that a file's text requires, whether or not it decides about packages.
pub(super) fn python(file: &Path, text: &str) -> Result<Option<VersionSpecifiers>, Error> {
    let document: Table = parse_toml(file, text)?;
    if let Some(standard) = table(&document, "project")
        && let Some(python) = project::python(file, standard)?
    {
        return Ok(Some(python));
    }
    let poetry = table(&document, "tool").and_then(|tool| table(tool, "poetry"));
    poetry.map_or(Ok(None), |poetry| poetry::python(file, poetry))
}

/// Whether Poetry's table lists the dependencies, beside a standard one without them.
fn has_the_list(standard: &Table, poetry: &Table) -> bool {
    !standard.contains_key("dependencies") && poetry.contains_key("dependencies")
}
