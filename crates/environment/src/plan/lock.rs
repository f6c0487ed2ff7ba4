//! Reads the pinned versions of lock files, as constraints for the installer.
//!
//! Pins only packages from an index: a project on disk or in a repository has no version for an installer to
//! choose. A package that is locked at several versions, for several platforms or interpreters, is left to
//! the installer.

use super::{parse_toml, requirements::normalized, text::read};
use crate::error::Error;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use toml::Value;

/// The pins of `uv.lock`, or else of `poetry.lock`.
pub(super) fn beside_pyproject(folder: &Path) -> Result<Vec<String>, Error> {
    for name in ["uv.lock", "poetry.lock"] {
        let file = folder.join(name);
        if file.is_file() {
            return of_packages(&file);
        }
    }
    Ok(Vec::new())
}

/// The pins of `Pipfile.lock`.
pub(super) fn beside_pipfile(folder: &Path) -> Result<Vec<String>, Error> {
    let file = folder.join("Pipfile.lock");
    if !file.is_file() {
        return Ok(Vec::new());
    }
    let lock: PipfileLock = serde_json::from_str(&read(&file, None)?)
        .map_err(|error| Error::Syntax { file: file.clone(), problem: error.to_string() })?;
    Ok(lock.default.iter().filter_map(|(name, package)| package.pin(name)).collect())
}

#[derive(Deserialize)]
struct PipfileLock {
    #[serde(default)]
    default: BTreeMap<String, PipfilePackage>,
}

#[derive(Deserialize)]
struct PipfilePackage {
    version: Option<String>,
    markers: Option<String>,
}

impl PipfilePackage {
    fn pin(&self, name: &str) -> Option<String> {
        let version = self.version.as_ref().filter(|version| version.starts_with("=="))?;
        let markers = self.markers.as_ref().map(|markers| format!(" ; {markers}")).unwrap_or_default();
        Some(format!("{name}{version}{markers}"))
    }
}

#[derive(Deserialize)]
struct PackageLock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    source: Option<BTreeMap<String, Value>>,
}

impl Package {
    /// uv writes `source = { registry = … }`; Poetry writes nothing, or an index of type `legacy`.
    fn is_from_index(&self) -> bool {
        self.source.as_ref().is_none_or(|source| {
            source.contains_key("registry") || source.get("type").and_then(Value::as_str) == Some("legacy")
        })
    }
}

fn of_packages(file: &Path) -> Result<Vec<String>, Error> {
    let lock: PackageLock = parse_toml(file, &read(file, None)?)?;
    let mut versions: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let pinned = lock.package.iter().filter(|package| package.is_from_index());
    for (package, version) in pinned.filter_map(|package| Some((package, package.version.as_deref()?))) {
        versions.entry(normalized(&package.name)).or_default().insert(version);
    }
    let only = |(name, versions): (String, BTreeSet<&str>)| match versions.len() {
        1 => Some(format!("{name}=={}", versions.first()?)),
        _ => None,
    };
    Ok(versions.into_iter().filter_map(only).collect())
}
