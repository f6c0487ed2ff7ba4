//! The plan of a node's environment, read from the deciding file.
//!
//! The nearest folder from the node's own upward to the package's root with one of these files decides, and
//! in it the first of:
//!
//! 1. `requirements.txt`, passed to the installer unchanged.
//! 2. `pyproject.toml`, if it has `[project]` (PEP 621) or `[tool.poetry]`; one that only configures tools
//!    decides nothing.
//! 3. `Pipfile`.
//!
//! The latter two are translated to requirements; an entry that cannot be translated is an error, not a
//! guess. A lock file beside them (`uv.lock`, `poetry.lock`, `Pipfile.lock`) pins the versions of packages
//! from an index; its hashes are not checked.

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
mod requires;
mod table;
mod text;
mod transcript;

pub(crate) use requires::Requires;
pub(crate) use transcript::{Transcript, TranscriptWriter};

use crate::{
    error::Error,
    imports::{UpstreamPackage, constraints},
    key::Key,
    mask::mask,
};
use pep440_rs::VersionSpecifiers;
use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};
use text::read;

/// The packages that are installed from wheels only: they are C, and building them takes long.
type OnlyWheels = Vec<String>;

/// Whether a package's files may change while nodes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Files {
    /// A folder that a developer works in: editable projects are used in place.
    #[default]
    Live,
    /// An unpacked archive, in a different place for each run: editable projects are copied.
    Fixed,
}

/// The content of a node's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The deciding file.
    pub(crate) file: PathBuf,
    /// The packages to install.
    pub(crate) wanted: PackageSource,
    /// Options that installers accept only on the command line.
    pub(crate) options: Vec<String>,
    /// Versions pinned by a lock file, as requirements.
    pub(crate) pins: Vec<String>,
    /// The supported versions of Python.
    pub(crate) python: Option<VersionSpecifiers>,
    /// Constraints that apply where the requirements permit.
    pub(crate) preferred: Vec<String>,
    pub(crate) only_wheels: OnlyWheels,
    /// The named packages, by normalized name.
    pub(crate) names: BTreeSet<String>,
    /// Whether a requirement has an unknown name.
    pub(crate) is_opaque: bool,
    /// Requirements and constraints on exactly one version.
    pub(crate) exact: Vec<String>,
    /// Options that set the source of packages.
    pub(crate) sources: Vec<String>,
    /// Whether and why the installer gets a copy of the files.
    pub(crate) transcript: Option<Transcript>,
    /// Whether it has hashes, so that a requirement without one must not be added.
    pub(crate) has_hashes: bool,
    /// The key of all content that decides what is installed.
    pub(crate) content: String,
}

/// The packages to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PackageSource {
    /// The deciding file itself, as requirements.
    File,
    /// Requirements translated from the deciding file. Paths are relative to its folder.
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
    /// The plan of the node with this `src`, relative to the root; `None` without a deciding file.
    pub(crate) fn of(root: &Path, src: &Path, files: Files) -> Result<Option<Self>, Error> {
        let in_folder = |folder: &PathBuf| Self::in_folder(root, folder, files).transpose();
        folders(root, src).iter().find_map(in_folder).transpose()
    }

    /// The plan of a node without a deciding file that imports packages of KRT v1's images.
    pub(crate) fn of_imports(file: PathBuf, carried: &[&UpstreamPackage]) -> Self {
        let packages: BTreeSet<&str> = carried.iter().map(|carried| carried.package).collect();
        let packages: Vec<String> = packages.into_iter().map(str::to_owned).collect();
        // Also for indirect dependencies: pandas of that time does not load with a later numpy.
        let preferred = constraints();
        let key = packages.iter().chain(&preferred).fold(Key::default().with("imports"), Key::with);
        Self {
            file,
            options: Vec::new(),
            pins: Vec::new(),
            python: None,
            names: packages.iter().map(|name| requirements::normalized(name)).collect(),
            is_opaque: false,
            exact: Vec::new(),
            sources: Vec::new(),
            transcript: None,
            has_hashes: false,
            content: key.finish(),
            only_wheels: packages.clone(),
            wanted: PackageSource::Lines(packages),
            preferred,
        }
    }

    fn in_folder(root: &Path, folder: &Path, files: Files) -> Result<Option<Self>, Error> {
        let file = folder.join("requirements.txt");
        if file.is_file() {
            let content = content::of_file(root, &file, files)?;
            return Ok(Some(Self::new(file, PackageSource::File, Translation::default(), content)));
        }
        let file = folder.join("pyproject.toml");
        if file.is_file()
            && let Some(mut translation) = pyproject::translate(&file, &read(&file, None)?)?
        {
            translation.pins.extend(lock::beside_pyproject(folder)?);
            return Self::of_translation(root, file, translation, files).map(Some);
        }
        let file = folder.join("Pipfile");
        if file.is_file() {
            let mut translation = pipfile::translate(&file, &read(&file, None)?)?;
            translation.pins.extend(lock::beside_pipfile(folder)?);
            return Self::of_translation(root, file, translation, files).map(Some);
        }
        Ok(None)
    }

    fn of_translation(
        root: &Path,
        file: PathBuf,
        mut translation: Translation,
        files: Files,
    ) -> Result<Self, Error> {
        let mut content = content::of_lines(root, &file, &translation.lines, files)?;
        content.key = translation.options.iter().chain(&translation.pins).fold(content.key, Key::with);
        content.exact.extend(translation.pins.iter().cloned());
        let lines = std::mem::take(&mut translation.lines);
        Ok(Self::new(file, PackageSource::Lines(lines), translation, content))
    }

    fn new(
        file: PathBuf,
        wanted: PackageSource,
        translation: Translation,
        content: content::Content,
    ) -> Self {
        let transcript = content.transcript();
        Self {
            file,
            wanted,
            options: translation.options,
            pins: translation.pins,
            python: translation.python,
            preferred: Vec::new(),
            only_wheels: Vec::new(),
            names: content.names,
            is_opaque: content.is_opaque,
            exact: content.exact,
            sources: content.sources,
            transcript,
            has_hashes: content.has_hashes,
            content: content.key.finish(),
        }
    }

    pub(crate) fn names_protobuf(&self) -> bool {
        self.names.contains("protobuf")
    }

    /// Whether it names one of these packages.
    pub(crate) fn names_one_of(&self, packages: &[String]) -> bool {
        packages.iter().any(|package| self.names.contains(&requirements::normalized(package)))
    }

    /// The folder that the plan's paths are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }
}

/// The folder of a node's `src` and its ancestors, nearest first, up to the root.
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

fn parse_toml<T: serde::de::DeserializeOwned>(file: &Path, text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        Error::Syntax { file: file.to_owned(), problem: mask(&format!("{}{place}", error.message())) }
    })
}

#[cfg(test)]
mod tests;
