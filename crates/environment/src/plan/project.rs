//! `[project]` of a `pyproject.toml` (PEP 621), with uv's sources.
//!
//! The project itself is not installed: a node runs from its file. Nor are optional dependencies and groups.

use super::{
    Translation,
    entry::{Entry, index_option},
    requirement::{Origin, Requirement},
    requirements::normalized,
    table::{table, tables},
};
use crate::error::Error;
use pep440_rs::VersionSpecifiers;
use regex::Regex;
use std::{path::Path, sync::LazyLock};
use toml::{Table, Value};

/// Name, extras, and the rest; then the condition.
static PARTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?([^;]*)(?:;(.*))?$").expect("the pattern is valid")
});

/// Translates the table, with the `[tool]` of the same file.
pub(super) fn translate(file: &Path, project: &Table, tool: &Table) -> Result<Translation, Error> {
    let whole = Entry { file, name: "[project]" };
    if whole.texts(project, "dynamic")?.iter().any(|key| key == "dependencies") {
        return Err(whole.cannot("leaves `dependencies` to a build (`dynamic`)"));
    }
    no_second_list(file, tool)?;
    let none = Table::new();
    let uv = Uv { file, table: table(tool, "uv").unwrap_or(&none) };
    let mut lines = uv.indexes()?;
    for dependency in whole.texts(project, "dependencies")? {
        lines.extend(uv.lines(&dependency)?);
    }
    Ok(Translation {
        lines,
        python: python(file, project)?,
        pins: uv.constraints()?,
        ..Translation::default()
    })
}

/// The supported versions of Python.
pub(super) fn python(file: &Path, project: &Table) -> Result<Option<VersionSpecifiers>, Error> {
    let entry = Entry { file, name: "requires-python" };
    entry.text(project, "requires-python")?.map(|text| entry.specifiers(text)).transpose()
}

/// Refuses a second list of dependencies in Poetry's table: which one applies is not guessed.
fn no_second_list(file: &Path, tool: &Table) -> Result<(), Error> {
    let second = table(tool, "poetry").and_then(|poetry| table(poetry, "dependencies"));
    match second.into_iter().flat_map(Table::keys).find(|name| *name != "python") {
        Some(name) => Err(Entry { file, name }
            .cannot("stands in `[tool.poetry.dependencies]` beside the list of `[project]`")),
        None => Ok(()),
    }
}

/// `[tool.uv]`.
struct Uv<'a> {
    file: &'a Path,
    table: &'a Table,
}

impl Uv<'_> {
    /// The one index that replaces the default.
    fn indexes(&self) -> Result<Vec<String>, Error> {
        let mut options = Vec::new();
        for index in tables(self.table, "index") {
            let name = index.get("name").and_then(Value::as_str).unwrap_or("[[tool.uv.index]]");
            let entry = Entry { file: self.file, name };
            let address =
                entry.text(index, "url")?.ok_or_else(|| entry.cannot("is an index without `url`"))?;
            match (entry.flag(index, "explicit")?, entry.flag(index, "default")?) {
                (true, _) => {}
                (false, true) => options.extend(index_option(address)),
                (false, false) => {
                    return Err(entry.cannot("is an index beside another: pip has no order of indexes"));
                }
            }
        }
        Ok(options)
    }

    fn constraints(&self) -> Result<Vec<String>, Error> {
        let entry = Entry { file: self.file, name: "[tool.uv]" };
        if !entry.texts(self.table, "override-dependencies")?.is_empty() {
            return Err(entry.cannot("has `override-dependencies`, which pip has no equal of"));
        }
        entry.texts(self.table, "constraint-dependencies")
    }

    /// The lines of a dependency: itself, unless its name has a source.
    fn lines(&self, dependency: &str) -> Result<Vec<String>, Error> {
        let entry = Entry { file: self.file, name: dependency };
        let parts = PARTS.captures(dependency).ok_or_else(|| entry.cannot("is no requirement"))?;
        let wanted = normalized(&parts[1]);
        let sources = table(self.table, "sources").into_iter().flatten();
        let Some((_, source)) = sources.into_iter().find(|(name, _)| normalized(name) == wanted) else {
            return Ok(vec![dependency.trim().to_owned()]);
        };
        let extras = parts.get(2).map_or("", |extras| extras.as_str());
        let requirement = Requirement {
            name: parts[1].to_owned(),
            extras: extras
                .split(',')
                .map(|extra| extra.trim().to_owned())
                .filter(|extra| !extra.is_empty())
                .collect(),
            origin: Origin::default(),
            markers: parts.get(4).map(|marker| marker.as_str().trim().to_owned()).into_iter().collect(),
        };
        let sources = source.as_array().map_or(std::slice::from_ref(source), Vec::as_slice);
        sources.iter().map(|source| self.line_from(requirement.clone(), source)).collect()
    }

    fn line_from(&self, mut requirement: Requirement, source: &Value) -> Result<String, Error> {
        let name = requirement.name.clone();
        let entry = Entry { file: self.file, name: &name };
        let source = source.as_table().ok_or_else(|| entry.cannot("has a source that is not a table"))?;
        let known = ["git", "rev", "tag", "branch", "subdirectory", "url", "path", "editable", "marker"];
        entry.only(source, &known)?;
        requirement.origin =
            entry.origin(source, "editable")?.ok_or_else(|| entry.cannot("has an empty source"))?;
        requirement.markers.extend(entry.text(source, "marker")?.map(str::to_owned));
        Ok(requirement.line())
    }
}
