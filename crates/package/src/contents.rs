//! Lists the files of a package, with links resolved.
//!
//! `krt check`, `krt run` and `krt pack` all see these files. A link that stays inside stands for its target;
//! one that leads out of the package is a fault.

mod ignored;
mod walk;

use crate::link::{self, Link};
use crate::problem::{Problem, Report};
use ignored::IGNORE_FILE;
pub(crate) use ignored::{PACKING_PREFIX, UNPACKING_PREFIX};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The files and folders of a package, sorted by name.
#[derive(Debug, Default)]
pub struct Contents {
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) faults: Vec<Fault>,
    hops: BTreeSet<PathBuf>,
    root: PathBuf,
}

/// An item of a package.
#[derive(Debug)]
pub(crate) enum Item {
    Folder,
    File {
        /// Its real path.
        from: PathBuf,
        size: u64,
        executable: bool,
    },
}

/// Why an item cannot be part of a package.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A link that leads out of the package.
    Outside(Link),
    /// A link that leads to itself, through other links or a folder that contains it.
    Loop(Link),
    /// A dangling link.
    Dangling(Link),
    /// A pipe, a socket or a device.
    Special { name: String },
    /// A name that is not UTF-8.
    Name { name: String },
    /// Links lead to more files than a package may have.
    Many { name: String },
    /// An ignore file has an error.
    Ignore(ignore::Error),
    /// A folder that cannot be read.
    Read { path: PathBuf, source: io::Error },
}

impl Contents {
    /// Lists the package in a folder, without the files that its `.krtignore` names.
    pub fn list(folder: &Path) -> io::Result<Self> {
        Self::list_except(folder, None)
    }

    /// Lists the package without the file `except`, such as an archive being created.
    pub(crate) fn list_except(folder: &Path, except: Option<&Path>) -> io::Result<Self> {
        let root = folder.canonicalize()?;
        let except = except.and_then(|path| path.canonicalize().ok());
        Ok(walk::contents(root, except))
    }

    /// The problems with links: those that leave the package or form a cycle are errors.
    pub fn problems(&self) -> Report {
        let mut report = Report::default();
        self.faults.iter().filter_map(Fault::problem).for_each(|problem| report.push(problem));
        report
    }

    /// The files behind links: their names in the package, and their real paths.
    pub fn linked(&self) -> impl Iterator<Item = (&str, &Path)> {
        let files = self.items.iter().filter_map(|(name, item)| match item {
            Item::File { from, .. } => Some((name.as_str(), from.as_path())),
            Item::Folder => None,
        });
        files.filter(|(name, from)| self.root.join(name) != *from)
    }

    /// The links to those files, absolute.
    pub fn links(&self) -> &BTreeSet<PathBuf> {
        &self.hops
    }

    /// The number of files, and their total size in bytes.
    pub(crate) fn size(&self) -> (usize, u64) {
        self.items.values().fold((0, 0), |(files, bytes), item| match item {
            Item::File { size, .. } => (files + 1, bytes + size),
            Item::Folder => (files, bytes),
        })
    }
}

impl Fault {
    /// The problem to report before a package runs.
    fn problem(&self) -> Option<Problem> {
        let (link, error, hint): (_, fn(Link) -> link::Error, _) = match self {
            Self::Outside(link) => {
                (link, link::Error::Outside, "copy what it points to into the package, remove the link")
            }
            Self::Loop(link) => (link, link::Error::Loop, "remove it"),
            Self::Dangling(link) => (link, link::Error::Dangling, "it is left out of the package: remove it"),
            Self::Many { name } => {
                let message = format!("links lead to more than {} files", walk::MAX_LINKED);
                return Some(Problem::error(name, message).hint("let each folder be linked once"));
            }
            _ => return None,
        };
        let (name, message) = (link.name.clone(), error(link.clone()).to_string());
        let problem = match self {
            Self::Dangling(_) => Problem::warning(name, message),
            _ => Problem::error(name, message),
        };
        Some(problem.hint(format!("{hint}, or name it in `{IGNORE_FILE}`")))
    }
}

#[cfg(test)]
mod tests;
