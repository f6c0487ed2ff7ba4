//! `[tool.poetry]` of a `pyproject.toml`.
//!
//! Installs only the main dependencies, without groups and extras. The project itself is not installed: a
//! node runs from its file.

use super::{
    Translation,
    constraint::specifiers,
    entry::{Entry, index_option},
    requirement::{Origin, Requirement},
    table::{table, tables},
};
use crate::error::Error;
use pep440_rs::VersionSpecifiers;
use std::path::Path;
use toml::{Table, Value};

const KNOWN: [&str; 18] = [
    "version",
    "extras",
    "markers",
    "python",
    "platform",
    "optional",
    "git",
    "rev",
    "tag",
    "branch",
    "subdirectory",
    "path",
    "develop",
    "url",
    "source",
    "file",
    "allow-prereleases",
    "allow_prereleases",
];

/// Translates the table.
pub(super) fn translate(file: &Path, poetry: &Table) -> Result<Translation, Error> {
    let index = Index::of(file, poetry)?;
    let mut translation = Translation { lines: index.option(), ..Translation::default() };
    for (name, value) in table(poetry, "dependencies").into_iter().flatten() {
        let entry = Entry { file, name };
        if name == "python" {
            translation.python = python(file, poetry)?;
            continue;
        }
        let several = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in several {
            translation.lines.extend(line(entry, value, &index)?);
        }
    }
    Ok(translation)
}

/// The supported versions of Python.
pub(super) fn python(file: &Path, poetry: &Table) -> Result<Option<VersionSpecifiers>, Error> {
    let entry = Entry { file, name: "python" };
    let Some(value) = table(poetry, "dependencies").and_then(|table| table.get("python")) else {
        return Ok(None);
    };
    let text = value.as_str().ok_or_else(|| entry.cannot("has a version that is not a string"))?;
    entry.specifiers(&constraint(entry, text)?).map(Some)
}

/// The line of one dependency; `None` if it is optional.
fn line(entry: Entry<'_>, value: &Value, index: &Index<'_>) -> Result<Option<String>, Error> {
    let name = entry.name.to_owned();
    let table = match value {
        Value::String(text) => {
            let origin = Origin::Index(constraint(entry, text)?);
            return Ok(Some(Requirement { name, origin, ..Requirement::default() }.line()));
        }
        Value::Table(table) => table,
        _ => return Err(entry.cannot("is neither a version nor a table")),
    };
    entry.only(table, &KNOWN)?;
    if entry.flag(table, "optional")? {
        return Ok(None);
    }
    index.allows(entry, table)?;
    let requirement = Requirement {
        name,
        extras: entry.texts(table, "extras")?,
        origin: origin(entry, table)?,
        markers: markers(entry, table)?,
    };
    Ok(Some(requirement.line()))
}

fn origin(entry: Entry<'_>, table: &Table) -> Result<Origin, Error> {
    if entry.flag(table, "allow-prereleases")? || entry.flag(table, "allow_prereleases")? {
        return Err(entry.cannot("allows prereleases, which installers only do for all packages"));
    }
    if let Some(path) = entry.text(table, "file")? {
        return Ok(Origin::Path { path: path.to_owned(), editable: false });
    }
    match entry.origin(table, "develop")? {
        Some(origin) => Ok(origin),
        None => Ok(Origin::Index(constraint(entry, entry.text(table, "version")?.unwrap_or("*"))?)),
    }
}

fn markers(entry: Entry<'_>, table: &Table) -> Result<Vec<String>, Error> {
    let mut markers: Vec<String> = entry.text(table, "markers")?.map(str::to_owned).into_iter().collect();
    if let Some(platform) = entry.text(table, "platform")? {
        markers.push(format!("sys_platform == '{platform}'"));
    }
    if let Some(python) = entry.text(table, "python")? {
        let wanted = constraint(entry, python)?;
        for part in wanted.split(',').filter(|part| !part.is_empty()) {
            let version = part.find(|letter: char| letter.is_ascii_alphanumeric()).unwrap_or(part.len());
            let (sign, version) = part.split_at(version);
            markers.push(format!("python_full_version {sign} '{version}'"));
        }
    }
    Ok(markers)
}

fn constraint(entry: Entry<'_>, text: &str) -> Result<String, Error> {
    specifiers(text)
        .ok_or_else(|| entry.cannot(format!("has `{text}` for a version, which no requirement can say")))
}

/// `[[tool.poetry.source]]`: the one index that replaces the default.
struct Index<'a> {
    name: Option<&'a str>,
    address: Option<&'a str>,
}

impl<'a> Index<'a> {
    fn of(file: &Path, poetry: &'a Table) -> Result<Self, Error> {
        let mut index = Self { name: None, address: None };
        for source in tables(poetry, "source") {
            let name = source.get("name").and_then(Value::as_str).unwrap_or("[[tool.poetry.source]]");
            let entry = Entry { file, name };
            let old = if entry.flag(source, "secondary")? { "secondary" } else { "primary" };
            match entry.text(source, "priority")?.unwrap_or(old) {
                "explicit" => {}
                "primary" | "default" if index.name.is_none() => {
                    index = Self { name: Some(name), address: entry.text(source, "url")? };
                }
                _ => return Err(entry.cannot("is an index beside another: pip has no order of indexes")),
            }
        }
        Ok(index)
    }

    fn option(&self) -> Vec<String> {
        self.address.and_then(index_option).into_iter().collect()
    }

    fn allows(&self, entry: Entry<'_>, table: &Table) -> Result<(), Error> {
        match entry.text(table, "source")? {
            Some(source) if self.name != Some(source) => Err(entry.cannot(format!(
                "comes from the index `{source}` only: pip cannot bind a package to an index"
            ))),
            _ => Ok(()),
        }
    }
}
