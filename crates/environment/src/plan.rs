//! What a node's environment must hold: reads the file that decides it.
//!
//! The nearest folder from the node's own upward to the package's root that holds one of these
//! decides, and in it the first of:
//!
//! 1. `requirements.txt`, given to the installer as it is.
//! 2. `pyproject.toml`, if it has `[project]` (PEP 621) or `[tool.poetry]`; one that only configures
//!    tools decides nothing.
//! 3. `Pipfile`.
//!
//! The latter two are translated to requirements; what has no equal among them is an error, not a
//! guess. A lock file beside them (`uv.lock`, `poetry.lock`, `Pipfile.lock`) pins the versions of what
//! comes from an index; its hashes are not checked.

mod constraint;
mod content;
mod entry;
mod local;
mod lock;
mod pipfile;
mod poetry;
mod project;
mod pyproject;
mod requirement;
mod requirements;

use crate::{error::Error, key::Key, mask::mask};
use pep440_rs::{Version, VersionSpecifiers};
use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// What a node's environment must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The file that decides.
    pub(crate) file: PathBuf,
    /// What to install.
    pub(crate) wanted: Wanted,
    /// Options that installers only take from their command line.
    pub(crate) options: Vec<String>,
    /// Versions that a lock file pins, as requirements.
    pub(crate) pins: Vec<String>,
    /// The versions of Python it is for.
    pub(crate) python: Option<VersionSpecifiers>,
    /// Whether `protobuf` is among what it names.
    pub(crate) names_protobuf: bool,
    /// Whether it gives hashes; then a requirement without one must not be added.
    pub(crate) has_hashes: bool,
    /// Stands for all content that decides what is installed.
    pub(crate) content: String,
}

/// What to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What the deciding file itself says, in the form of requirements.
    File,
    /// Requirements that the deciding file was translated to. Paths are relative to its folder.
    Lines(Vec<String>),
}

/// A deciding file, translated.
#[derive(Debug, Default)]
struct Translation {
    lines: Vec<String>,
    options: Vec<String>,
    pins: Vec<String>,
    python: Option<VersionSpecifiers>,
}

impl Plan {
    /// The plan of the node whose `src` is given relative to the root; `None` where no file decides.
    pub(crate) fn of(root: &Path, src: &Path) -> Result<Option<Self>, Error> {
        folders(root, src).iter().find_map(|folder| Self::in_folder(folder).transpose()).transpose()
    }

    fn in_folder(folder: &Path) -> Result<Option<Self>, Error> {
        let file = folder.join("requirements.txt");
        if file.is_file() {
            return Self::of_requirements(file).map(Some);
        }
        let file = folder.join("pyproject.toml");
        if file.is_file()
            && let Some(translation) = pyproject::translate(&file, &read(&file, None)?)?
        {
            let pins = lock::beside_pyproject(folder)?;
            return Self::of_translation(file, translation, pins).map(Some);
        }
        let file = folder.join("Pipfile");
        if file.is_file() {
            let translation = pipfile::translate(&file, &read(&file, None)?)?;
            return Self::of_translation(file, translation, lock::beside_pipfile(folder)?).map(Some);
        }
        Ok(None)
    }

    fn of_requirements(file: PathBuf) -> Result<Self, Error> {
        let content = content::of_file(&file)?;
        Ok(Self {
            wanted: Wanted::File,
            options: Vec::new(),
            pins: Vec::new(),
            python: None,
            names_protobuf: content.names_protobuf,
            has_hashes: content.has_hashes,
            content: content.key.finish(),
            file,
        })
    }

    fn of_translation(file: PathBuf, translation: Translation, locked: Vec<String>) -> Result<Self, Error> {
        let content = content::of_lines(&file, &translation.lines)?;
        let pins = [translation.pins, locked].concat();
        let key = translation.options.iter().chain(&pins).fold(content.key, Key::with);
        Ok(Self {
            wanted: Wanted::Lines(translation.lines),
            options: translation.options,
            pins,
            python: translation.python,
            names_protobuf: content.names_protobuf,
            has_hashes: content.has_hashes,
            content: key.finish(),
            file,
        })
    }

    /// The folder that the plan's paths are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }

    /// Checks that an interpreter is of a version this is for.
    pub(crate) fn check(&self, python: &Path, version: &Version) -> Result<(), Error> {
        match &self.python {
            Some(requires) if !requires.contains(version) => Err(Error::RequiresPython {
                file: self.file.clone(),
                requires: requires.to_string(),
                python: python.to_owned(),
                version: version.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// The folder of a node's `src` and those above it, nearest first, down to the root and never past it.
fn folders(root: &Path, src: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.to_owned()];
    for component in src.parent().into_iter().flat_map(Path::components) {
        match component {
            Component::Normal(name) => folders.push(folders[folders.len() - 1].join(name)),
            Component::ParentDir if folders.len() > 1 => drop(folders.pop()),
            _ => {}
        }
    }
    folders.reverse();
    folders
}

/// A file's text. What is not UTF-8 in it is replaced: names and versions are ASCII.
fn read(path: &Path, named_by: Option<&Path>) -> Result<String, Error> {
    let failed = |source: io::Error| Error::Read {
        path: path.to_owned(),
        named_by: named_by.map(Path::to_owned),
        source,
    };
    let bytes = fs::read(path).map_err(failed)?;
    Ok(String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)).into_owned())
}

/// Parses a TOML file's text.
fn parse_toml<T: serde::de::DeserializeOwned>(file: &Path, text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        Error::Syntax { file: file.to_owned(), problem: mask(&format!("{}{place}", error.message())) }
    })
}

#[cfg(test)]
mod tests;
