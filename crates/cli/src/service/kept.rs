//! The files that an isolated version sees besides the system's: its package, and its nodes' environments.

use super::pythons::Pythons;
use anyhow::Context as _;
use krt_guard::Isolation;
use krt_package::Package;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// The maximum number of links between an interpreter's name and its file.
const MAX_LINKS: usize = 16;

/// Adds the files that a version needs to those it sees, and makes them readable for its user.
pub(super) fn complete(
    mut isolation: Isolation,
    package: &Package,
    pythons: Option<&Pythons>,
    executables: &BTreeMap<String, PathBuf>,
) -> anyhow::Result<Isolation> {
    let pythons = pythons.iter().flat_map(|pythons| {
        let made = pythons.interpreters.values().filter_map(|interpreter| interpreter.environment.clone());
        let own = [pythons.sdk.path().to_owned(), pythons.modules.path().to_owned()];
        made.chain(own)
    });
    let own = [package.root.clone()].into_iter().chain(pythons).chain(executables.values().cloned());
    let own: BTreeSet<PathBuf> = own.map(|path| fs::canonicalize(&path)).collect::<io::Result<_>>()?;
    if isolation.user.is_some() {
        for path in &own {
            let_read(path)
                .with_context(|| format!("cannot let the version's user read `{}`", path.display()))?;
        }
    }
    isolation.kept = own.into_iter().collect();
    Ok(isolation)
}

/// Adds the installation of an interpreter if isolation would hide it.
pub(super) fn add_installations(isolation: &mut Isolation, interpreter: &Path) {
    for file in links(interpreter) {
        let Some(prefix) = file.parent().and_then(Path::parent) else { continue };
        let covered = isolation.hidden.iter().chain([&isolation.home]);
        let mut covered = covered.map(PathBuf::as_path).chain([Path::new("/tmp"), Path::new("/var/tmp")]);
        let is_seen = isolation.kept.iter().any(|kept| prefix.starts_with(kept));
        let is_hidden = covered.clone().any(|folder| prefix.starts_with(folder) && prefix != folder);
        // Never expose a hidden folder as a whole.
        let is_whole = covered.any(|folder| folder.starts_with(prefix));
        if is_hidden && !is_seen && !is_whole {
            isolation.kept.push(prefix.to_owned());
        }
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
fn let_read(path: &Path) -> io::Result<()> {
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
