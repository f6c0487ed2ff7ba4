//! The temporary folder of an archive being unpacked, until it is complete and gets its name.

use crate::contents::UNPACKING_PREFIX;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A folder is created before it is locked: a younger one without a lock may be about to get it.
const LOCK_GRACE: Duration = Duration::from_secs(60);

/// A folder that is deleted on drop. Its lock ends with the process, however that ends: a folder without a
/// lock is a leftover.
pub(super) struct Staging {
    folder: TempDir,
    _lock: File,
}

impl Staging {
    /// Creates a folder, and deletes leftovers in the same place.
    pub(super) fn beside(place: &Path) -> io::Result<Self> {
        for entry in fs::read_dir(place)?.flatten() {
            if is_ours(&entry) && is_left_behind(&entry).unwrap_or(false) {
                // Unpacking does not depend on it.
                drop(fs::remove_dir_all(entry.path()));
            }
        }
        let folder = tempfile::Builder::new().prefix(UNPACKING_PREFIX).tempdir_in(place)?;
        let lock = File::open(folder.path())?;
        lock.lock()?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn is_ours(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    name.to_str().is_some_and(|name| name.starts_with(UNPACKING_PREFIX))
        && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

fn is_left_behind(entry: &DirEntry) -> io::Result<bool> {
    let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
    Ok(age > LOCK_GRACE && File::open(entry.path())?.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::FileTimes;
    use std::time::SystemTime;

    #[test]
    fn only_abandoned_folders_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let age = |name: &str| {
            let times = FileTimes::new().set_modified(hour_ago);
            File::open(at(name)).unwrap().set_times(times).unwrap();
        };
        for name in [".krt-unpack-left", ".krt-unpack-young", ".krt-unpack-used", ".krt-other"] {
            fs::create_dir_all(at(name).join("package")).unwrap();
        }
        fs::write(at(".krt-unpack-file"), "").unwrap();
        for name in [".krt-unpack-left", ".krt-unpack-used", ".krt-other", ".krt-unpack-file"] {
            age(name);
        }
        let used = File::open(at(".krt-unpack-used")).unwrap();
        used.lock().unwrap();

        let staging = Staging::beside(place.path()).unwrap();
        assert!(staging.path().is_dir());
        drop(staging);
        let mut names: Vec<_> =
            fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".krt-other", ".krt-unpack-file", ".krt-unpack-used", ".krt-unpack-young"]);
    }

    #[test]
    fn folders_in_use_are_locked() {
        let place = tempfile::tempdir().unwrap();
        let staging = Staging::beside(place.path()).unwrap();
        assert!(File::open(staging.path()).unwrap().try_lock().is_err());
    }
}
