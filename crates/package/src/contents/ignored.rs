//! The files left out of a package: by its author, and always.

use ignore::Match;
use ignore::gitignore::Gitignore;
use std::path::Path;

/// The prefix of archives being packed, beside the target file.
pub(crate) const PACKING_PREFIX: &str = ".krt-pack-";
/// The prefix of folders being unpacked, beside the target folder.
pub(crate) const UNPACKING_PREFIX: &str = ".krt-unpack-";
/// The author's ignore file, in the syntax of `.gitignore`.
pub(super) const IGNORE_FILE: &str = ".krtignore";
/// Left out always: of use where the package is written only. Python makes `__pycache__` again.
const ALWAYS_IGNORED: [&str; 6] = [".git", ".krt", ".krt.schema.json", ".venv", ".dvc", "__pycache__"];
/// Left out always: what a `krt` that was killed while it packed or unpacked has left.
const UNFINISHED: [&str; 2] = [PACKING_PREFIX, UNPACKING_PREFIX];
/// A folder with this link is a Kubernetes volume: names with this prefix hold the files, and the others are
/// links to them.
const VOLUME_LINK: &str = "..data";

/// An entry of a folder.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    /// Its path in the package, absolute, with links unresolved.
    pub(super) path: &'a Path,
    /// Its depth below the root, from 1.
    pub(super) depth: usize,
    /// Whether it is a folder or a link to one; `None` for a dangling link.
    pub(super) is_folder: Option<bool>,
}

/// Whether an entry is always left out. So are virtual environments of any name, and archives at the root, so
/// that packing twice does not put the first into the second.
pub(super) fn always(entry: &Entry<'_>) -> bool {
    let is_folder = entry.is_folder == Some(true);
    ALWAYS_IGNORED.contains(&entry.name)
        || UNFINISHED.iter().any(|beginning| entry.name.starts_with(beginning))
        || entry.name.starts_with("..") && entry.path.with_file_name(VOLUME_LINK).is_symlink()
        || is_lock(entry)
        || entry.depth == 1 && !is_folder && entry.name.ends_with(".krt")
        || is_folder && entry.path.join("pyvenv.cfg").is_file()
}

/// Whether it is the lock that Emacs creates for a file being edited: a dangling link.
fn is_lock(entry: &Entry<'_>) -> bool {
    entry.name.starts_with(".#") && entry.is_folder.is_none()
}

/// The ignore files of a folder and its ancestors.
#[derive(Default)]
pub(super) struct Ignored(Vec<Gitignore>);

impl Ignored {
    /// Enters a folder; returns the error in its ignore file, if any.
    pub(super) fn enter(&mut self, folder: &Path) -> Option<ignore::Error> {
        let file = folder.join(IGNORE_FILE);
        let (rules, error) = match file.is_file() {
            true => Gitignore::new(file),
            false => (Gitignore::empty(), None),
        };
        self.0.push(rules);
        error
    }

    /// Leaves the last folder.
    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    /// Whether the author leaves an entry out. The nearest ignore file with a match applies.
    pub(super) fn names(&self, entry: &Entry<'_>) -> bool {
        let named = |is_folder: bool| {
            let matches = self.0.iter().rev().map(|rules| rules.matched(entry.path, is_folder));
            matches.map(|found| found.map(|_| ())).find(|found| !found.is_none())
        };
        let ignored = |is_folder| matches!(named(is_folder), Some(Match::Ignore(())));
        match entry.is_folder {
            Some(is_folder) => ignored(is_folder),
            None => ignored(false) || ignored(true),
        }
    }
}
