//! Hashes a project or archive on disk: when it changes, so does the environment.
//!
//! Missing files count as nothing: the installer reports them.

use super::Files;
use crate::key::Key;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Larger files count by size and modification time instead of content.
const MAX_HASHED: u64 = 256 * 1024;

/// The depth limit of the walk; no project is deeper.
const MAX_DEPTH: usize = 64;

/// Build outputs, and folders that do not belong to a project.
const SKIPPED_FOLDERS: [&str; 4] = ["__pycache__", "build", "dist", "node_modules"];

/// The files that define how a project is installed, apart from its code.
const PROJECT_FILES: [&str; 3] = ["pyproject.toml", "setup.cfg", "setup.py"];

/// Adds a project used in place: its path and definition count, its code does not.
pub(super) fn editable(project: &Path, key: &mut Key) {
    let place = project.canonicalize().unwrap_or_else(|_| project.to_owned());
    key.add(place.as_os_str().as_bytes());
    for name in PROJECT_FILES {
        file(&project.join(name), key);
    }
}

/// Adds a project or archive that is copied, or a folder of archives: everything in it counts. Unpacked files
/// differ in modification time on each run, so that does not count for them.
pub(super) fn installed(path: &Path, files: Files, key: &mut Key) {
    let mut found = Vec::new();
    list(path, &mut found);
    add_all(path, found, key, if files == Files::Fixed { add_content } else { file });
}

/// Adds a project whose copy is used: all of it counts, except its path.
pub(super) fn copied(project: &Path, key: &mut Key) {
    add_all(project, all(project), key, add_content);
}

/// Whether a path is below a folder, with links resolved.
pub(super) fn is_below(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(path).zip(real(folder)).is_some_and(|(path, folder)| path.starts_with(folder))
}

/// All files of a project, without those of Python's caches and version control.
pub(super) fn all(project: &Path) -> Vec<PathBuf> {
    let (mut open, mut files) = (vec![(project.to_owned(), 0)], Vec::new());
    while let Some((folder, depth)) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let left_out = ["__pycache__", ".git"].iter().any(|name| entry.file_name() == **name);
            match path.is_dir() {
                true if left_out || depth > MAX_DEPTH => {}
                true => open.push((path, depth + 1)),
                false => files.push(path),
            }
        }
    }
    files
}

fn add_all(base: &Path, mut files: Vec<PathBuf>, key: &mut Key, add: fn(&Path, &mut Key)) {
    files.sort();
    for found in files {
        key.add(found.strip_prefix(base).unwrap_or(&found).as_os_str().as_bytes());
        add(&found, key);
    }
}

/// Adds a file's content of any size.
fn add_content(path: &Path, key: &mut Key) {
    let mut hash = Sha256::new();
    match File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash)) {
        Ok(_) => key.add(hash.finalize()),
        Err(_) => key.add("missing"),
    }
}

/// The files below a folder, or the file itself. Does not follow links to folders.
fn list(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(path) else {
        files.push(path.to_owned());
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name.ends_with(".egg-info") || SKIPPED_FOLDERS.contains(&&*name) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list(&entry.path(), files),
            _ => files.push(entry.path()),
        }
    }
}

fn file(path: &Path, key: &mut Key) {
    let Ok(entry) = path.metadata() else { return key.add("missing") };
    if entry.len() <= MAX_HASHED && entry.is_file() {
        return key.add(fs::read(path).unwrap_or_default());
    }
    let changed = entry.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    key.add(entry.len().to_le_bytes());
    key.add(changed.unwrap_or_default().as_nanos().to_le_bytes());
}
