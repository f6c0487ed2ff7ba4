//! Finds the `.proto` files of a package, outside of folders with foreign code.

use super::files::MAX_FILES;
use crate::link;
use crate::problem::{Problem, Report};
use crate::root::Root;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of installed code and caches. Hidden ones and virtual environments are skipped, too.
const SKIPPED_FOLDERS: [&str; 4] = ["node_modules", "site-packages", "dist-packages", "__pycache__"];
/// The greatest depth of the search.
const MAX_DEPTH: usize = 16;

/// The package's `.proto` files, relative to the root, sorted. Follows links that stay inside, and lists each
/// folder once, however many links lead there.
pub(super) fn protos(root: &Root, report: &mut Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    let mut listed = BTreeSet::from([root.path().to_owned()]);
    while let Some((folder, depth)) = folders.pop() {
        for name in names(&root.path().join(&folder)) {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            match kind(root, &path) {
                Some(Kind::Folder(real)) if depth < MAX_DEPTH && listed.insert(real.clone()) => {
                    folders.push((path, depth + 1));
                }
                Some(Kind::File) if name.ends_with(".proto") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort_unstable();
    if found.len() > MAX_FILES {
        let message = format!("there are {} `.proto` files: only {MAX_FILES} are read", found.len());
        report.push(Problem::warning("", message));
        found.truncate(MAX_FILES);
    }
    found
}

enum Kind {
    /// A folder with its real path.
    Folder(PathBuf),
    File,
}

fn kind(root: &Root, path: &str) -> Option<Kind> {
    let found = link::follow(root.path(), Path::new(path)).ok()?;
    match fs::metadata(&found.real).ok()? {
        facts if facts.is_dir() => Some(Kind::Folder(found.real)),
        facts if facts.is_file() => Some(Kind::File),
        _ => None,
    }
}

/// The author's own entries of a folder, links last. Empty when it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| !is_foreign(name)).collect();
    names.sort_by_cached_key(|name| (folder.join(name).is_symlink(), name.clone()));
    let environment = names.iter().any(|name| name == "pyvenv.cfg");
    if environment { Vec::new() } else { names }
}

fn is_foreign(name: &str) -> bool {
    name.starts_with('.') || SKIPPED_FOLDERS.contains(&name)
}
