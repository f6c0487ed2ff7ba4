//! The workspace of a module: the nearest `go.work` in the package that uses it.
//!
//! A `go.work` above the package does not count: the package must build anywhere.

use super::directive::{self, Directive};
use crate::executables::ExecutableSource;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The file's name.
const FILE: &str = "go.work";

/// The workspace of a node's module.
#[derive(Debug)]
pub(super) struct Workspace {
    /// Its folder.
    pub(super) folder: PathBuf,
    pub(super) directives: Vec<Directive>,
    /// The folders of its other modules.
    pub(super) others: Vec<UsedModule>,
}

/// A module that a workspace uses.
#[derive(Debug)]
pub(super) struct UsedModule {
    /// The line in the file, from 1.
    pub(super) line: usize,
    /// The folder as written.
    pub(super) written: String,
    pub(super) folder: PathBuf,
}

impl Workspace {
    /// The workspace of a node, if one uses its module.
    pub(super) fn of(node: &ExecutableSource) -> Option<Self> {
        let folders = node.module.ancestors().take_while(|folder| folder.starts_with(&node.root));
        let (folder, text) = folders
            .into_iter()
            .find_map(|folder| Some((folder, fs::read_to_string(folder.join(FILE)).ok()?)))?;
        let directives = directive::directives(&text);
        let used = directive::of(&directives, "use").filter_map(|used| {
            let written = used.words.first()?.clone();
            Some(UsedModule { line: used.line, folder: folder.join(&written), written })
        });
        let (own, others): (Vec<_>, Vec<_>) = used.partition(|used| is_same(&used.folder, &node.module));
        (!own.is_empty()).then(|| Self { folder: folder.to_owned(), directives, others })
    }

    /// The `go.work` file.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// The checksums that only the workspace as a whole needs.
    pub(super) fn sums(&self) -> PathBuf {
        self.folder.join("go.work.sum")
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}
