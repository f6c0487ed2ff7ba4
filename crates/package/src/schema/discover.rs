//! Finds the `.proto` files of a package, and passes over folders that are not the author's.

use super::files::MAX_FILES;
use crate::problem::{Problem, Report};
use std::fs::{self, DirEntry};
use std::path::Path;

/// Folders of installed code and caches. Hidden ones and virtual environments are passed over, too.
const FOREIGN: [&str; 4] = ["node_modules", "site-packages", "dist-packages", "__pycache__"];
/// How deep folders are looked into.
const MAX_DEPTH: usize = 16;

/// The package's `.proto` files, relative to `root`, sorted.
pub(super) fn protos(root: &Path, report: &mut Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for (name, entry) in entries(&root.join(&folder)) {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => folders.push((path, depth + 1)),
                Ok(kind) if kind.is_file() && name.ends_with(".proto") => found.push(path),
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

/// What is the author's in a folder. A folder that cannot be read holds nothing.
fn entries(folder: &Path) -> Vec<(String, DirEntry)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let named = entries.flatten().filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry)));
    let named: Vec<_> = named.filter(|(name, _)| !is_foreign(name)).collect();
    let environment = named.iter().any(|(name, _)| name == "pyvenv.cfg");
    if environment { Vec::new() } else { named }
}

fn is_foreign(name: &str) -> bool {
    name.starts_with('.') || FOREIGN.contains(&name)
}
