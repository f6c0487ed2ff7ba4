//! `Pipfile`: `[packages]`, and `[requires]` for the interpreter.

use super::{
    Translation,
    entry::{Entry, host, index_option},
    parse_toml,
    requirement::{Origin, Requirement},
    table::{table, tables},
};
use crate::error::Error;
use pep440_rs::VersionSpecifiers;
use std::path::Path;
use toml::{Table, Value};

/// Conditions that may be keys of their own (PEP 508).
const CONDITIONS: [&str; 11] = [
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_version",
    "python_full_version",
    "implementation_name",
    "implementation_version",
];

const KNOWN: [&str; 10] =
    ["version", "extras", "markers", "index", "git", "ref", "subdirectory", "path", "file", "editable"];

/// Translates a file's text.
pub(super) fn translate(file: &Path, text: &str) -> Result<Translation, Error> {
    let document: Table = parse_toml(file, text)?;
    let mut translation = Translation { python: python(file, &document)?, ..Translation::default() };
    let index = tables(&document, "source").next();
    if let Some(index) = index {
        set_index(Entry { file, name: "[[source]]" }, index, &mut translation)?;
    }
    let index = index.and_then(|index| index.get("name")).and_then(Value::as_str);
    for (name, value) in table(&document, "packages").into_iter().flatten() {
        translation.lines.push(line(Entry { file, name }, value, index)?);
    }
    Ok(translation)
}

/// Sets the index from the first source, which packages come from unless they name another.
fn set_index(entry: Entry<'_>, index: &Table, translation: &mut Translation) -> Result<(), Error> {
    let address = entry.text(index, "url")?.ok_or_else(|| entry.cannot("has no `url`"))?;
    translation.lines.extend(index_option(address));
    if index.get("verify_ssl").and_then(Value::as_bool) == Some(false) {
        translation.options = vec!["--trusted-host".to_owned(), host(address).to_owned()];
    }
    Ok(())
}

/// The Python version that a file's text requires.
pub(super) fn python_of(file: &Path, text: &str) -> Result<Option<VersionSpecifiers>, Error> {
    python(file, &parse_toml(file, text)?)
}

fn python(file: &Path, document: &Table) -> Result<Option<VersionSpecifiers>, Error> {
    let Some(requires) = table(document, "requires") else { return Ok(None) };
    let entry = Entry { file, name: "[requires]" };
    if let Some(version) = entry.text(requires, "python_full_version")? {
        return entry.specifiers(&format!("=={version}")).map(Some);
    }
    match entry.text(requires, "python_version")? {
        Some("*") | None => Ok(None),
        Some(version) => entry.specifiers(&format!("=={version}.*")).map(Some),
    }
}

fn line(entry: Entry<'_>, value: &Value, index: Option<&str>) -> Result<String, Error> {
    let name = entry.name.to_owned();
    let table = match value {
        Value::String(version) => {
            let origin = Origin::Index(specifiers(entry, version)?);
            return Ok(Requirement { name, origin, ..Requirement::default() }.line());
        }
        Value::Table(table) => table,
        _ => return Err(entry.cannot("is neither a version nor a table")),
    };
    entry.only(table, &[&KNOWN[..], &CONDITIONS].concat())?;
    if let Some(named) = entry.text(table, "index")?
        && index != Some(named)
    {
        return Err(entry
            .cannot(format!("comes from the index `{named}` only: pip cannot bind a package to an index")));
    }
    let requirement = Requirement {
        name,
        extras: entry.texts(table, "extras")?,
        origin: origin(entry, table)?,
        markers: markers(entry, table)?,
    };
    Ok(requirement.line())
}

fn origin(entry: Entry<'_>, table: &Table) -> Result<Origin, Error> {
    if let Some(origin) = entry.origin(table, "editable")? {
        return Ok(origin);
    }
    match entry.text(table, "file")? {
        Some(file) if file.contains("://") => Ok(Origin::Address(file.to_owned())),
        Some(file) => Ok(Origin::Path { path: file.to_owned(), editable: false }),
        None => specifiers(entry, entry.text(table, "version")?.unwrap_or("*")).map(Origin::Index),
    }
}

fn markers(entry: Entry<'_>, table: &Table) -> Result<Vec<String>, Error> {
    let mut markers: Vec<String> = entry.text(table, "markers")?.map(str::to_owned).into_iter().collect();
    for condition in CONDITIONS {
        if let Some(wanted) = entry.text(table, condition)? {
            markers.push(format!("{condition} {wanted}"));
        }
    }
    Ok(markers)
}

/// Validates version specifiers; empty for any version.
fn specifiers(entry: Entry<'_>, text: &str) -> Result<String, Error> {
    match text.trim() {
        "*" | "" => Ok(String::new()),
        version => entry.specifiers(version).map(|_| version.to_owned()),
    }
}
