//! A file of a few MiB without use. A start on a full disk deletes it, so that SQLite has room to open
//! databases; a later start creates it again.

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Its size in bytes: enough for the databases of some hundred runtimes.
const SIZE: u64 = 8 << 20;
/// The free bytes required to create it.
const MIN_FREE: u64 = 8 * SIZE;

/// Deletes the reserve where the disk is full, and creates it where there is room. A failure does not stop
/// the start.
pub(super) fn open(path: &Path) {
    let Some(free) = path.parent().and_then(free) else { return };
    if free < SIZE && fs::remove_file(path).is_ok() {
        tracing::warn!(
            hint = %"free some space",
            "the disk of `{}` is full: the server starts with {} MiB that it had reserved",
            path.display(),
            SIZE >> 20
        );
    } else if free > MIN_FREE
        && let Err(error) = make(path)
    {
        let _ = fs::remove_file(path);
        tracing::debug!("no room is reserved: {error}");
    }
}

/// The free bytes for this user.
fn free(folder: &Path) -> Option<u64> {
    let disk = statvfs(folder).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(fallocate(&file, FallocateFlags::empty(), 0, SIZE)?)
}
