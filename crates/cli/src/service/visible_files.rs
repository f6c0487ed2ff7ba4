//! The files that an isolated version sees besides the system's: its package, what its nodes run in, and the
//! installations of Python; installers and compilers also see each other's programs.

use crate::error::{Context as _, Result};
use krt_environment::ProcessEnv;
use krt_guard::Isolation;
use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// The maximum number of links between an interpreter's name and its file.
const MAX_LINKS: usize = 16;

/// Programs on `PATH` that may be links to a folder of their own.
const PROGRAMS: [&str; 4] = ["uv", "cargo", "rustc", "go"];

/// The folders of Rust's toolchains, below the home, and the variable that names another one.
const RUSTUP: (&str, &str) = ("RUSTUP_HOME", ".rustup");

/// Adds the server's files that a version may read, and makes them readable for its user.
pub(super) fn add(isolation: &mut Isolation, path: &Path) -> Result<()> {
    let path = fs::canonicalize(path).with_context(|| format!("cannot find `{}`", path.display()))?;
    if isolation.user.is_some() {
        let_read(&path)
            .with_context(|| format!("cannot let the version's user read `{}`", path.display()))?;
    }
    isolation.kept.push(path);
    Ok(())
}

/// Adds the installation of an interpreter if isolation would hide it.
pub(super) fn add_installation(isolation: &mut Isolation, interpreter: &Path) {
    for file in links(interpreter) {
        if let Some(prefix) = file.parent().and_then(Path::parent) {
            add_hidden(isolation, prefix);
        }
    }
}

/// Adds the folders of `PATH`, and those of programs that they link to, if isolation would hide them.
pub(super) fn add_tools(isolation: &mut Isolation, process_env: &ProcessEnv) {
    let path = process_env.get("PATH").unwrap_or_default();
    for folder in env::split_paths(path).filter(|folder| folder.is_dir()) {
        add_hidden(isolation, &folder);
        for file in PROGRAMS.iter().flat_map(|name| links(&folder.join(name))).filter(|file| file.is_file()) {
            file.parent().into_iter().for_each(|folder| add_hidden(isolation, folder));
            let root = file.parent().and_then(Path::parent);
            // Go's own root, which holds its standard library.
            root.filter(|root| root.join("pkg/tool").is_dir()).into_iter().for_each(|root| {
                add_hidden(isolation, root);
            });
        }
    }
}

/// Adds Rust's toolchains if isolation would hide them, and names their folder.
pub(super) fn with_toolchains(isolation: &mut Isolation, process_env: ProcessEnv) -> ProcessEnv {
    let (variable, below_home) = RUSTUP;
    let named = process_env.get(variable).map(PathBuf::from);
    let folder = named.unwrap_or_else(|| isolation.home.join(below_home));
    if !folder.is_dir() {
        return process_env;
    }
    add_hidden(isolation, &folder);
    process_env.with(variable, folder)
}

/// Adds a folder if isolation would hide it. Never exposes a hidden folder as a whole.
fn add_hidden(isolation: &mut Isolation, folder: &Path) {
    let covered = isolation.hidden.iter().chain([&isolation.home]);
    let mut covered = covered.map(PathBuf::as_path).chain([Path::new("/tmp"), Path::new("/var/tmp")]);
    let is_seen = isolation.kept.iter().any(|kept| folder.starts_with(kept));
    let is_hidden = covered.clone().any(|hidden| folder.starts_with(hidden) && folder != hidden);
    let is_whole = covered.any(|hidden| hidden.starts_with(folder));
    if is_hidden && !is_seen && !is_whole {
        isolation.kept.push(folder.to_owned());
    }
}

/// A path, and every target along its chain of links.
fn links(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    for _ in 0..MAX_LINKS {
        let last = &found[found.len() - 1];
        let Ok(next) = fs::read_link(last) else { break };
        let next = last.parent().map_or_else(|| next.clone(), |folder| folder.join(&next));
        found.push(next);
    }
    found.extend(fs::canonicalize(path));
    found
}

/// Makes a folder with all its content, or a file, readable for all users. The folders above decide who can
/// reach it.
///
/// A folder is changed after its content, so a readable folder is known to be complete.
pub(super) fn let_read(path: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    let mode = about.permissions().mode();
    let wanted = if about.is_dir() || mode & 0o100 != 0 { mode | 0o055 } else { mode | 0o044 };
    if about.is_symlink() || mode == wanted {
        return Ok(());
    }
    if about.is_dir() {
        for entry in fs::read_dir(path)? {
            let_read(&entry?.path())?;
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(wanted))
}
