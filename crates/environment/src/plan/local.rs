//! How a project or an archive on disk counts: when it changes, so does the environment.
//!
//! What is missing counts as nothing: the installer will say so in its own words.

use crate::key::Key;
use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Larger files count by size and time of change instead of content.
const READ_AT_MOST: u64 = 256 * 1024;

/// What a build leaves in a project, and what is no part of one.
const PASSED_OVER: [&str; 4] = ["__pycache__", "build", "dist", "node_modules"];

/// What decides how a project is installed, whatever its code says.
const DEFINITIONS: [&str; 3] = ["pyproject.toml", "setup.cfg", "setup.py"];

/// A project used where it stands: its place and its definition count, its code does not.
pub(super) fn editable(project: &Path, key: &mut Key) {
    let place = project.canonicalize().unwrap_or_else(|_| project.to_owned());
    key.add(place.as_os_str().as_bytes());
    for name in DEFINITIONS {
        file(&project.join(name), key);
    }
}

/// A project or an archive that is copied, or a folder of archives: everything in it counts.
pub(super) fn installed(path: &Path, key: &mut Key) {
    let mut files = Vec::new();
    list(path, &mut files);
    files.sort();
    for found in files {
        key.add(found.strip_prefix(path).unwrap_or(&found).as_os_str().as_bytes());
        file(&found, key);
    }
}

/// The files below a folder, or the file itself. Links to folders are not followed.
fn list(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(path) else {
        files.push(path.to_owned());
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name.ends_with(".egg-info") || PASSED_OVER.contains(&&*name) {
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
    if entry.len() <= READ_AT_MOST && entry.is_file() {
        return key.add(fs::read(path).unwrap_or_default());
    }
    let changed = entry.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    key.add(entry.len().to_le_bytes());
    key.add(changed.unwrap_or_default().as_nanos().to_le_bytes());
}
