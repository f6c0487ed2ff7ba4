//! The data folder of a server: its lock and its layout.
//!
//! ```text
//! lock                                 held while a server has the folder
//! registry.db                          everything that is not a file
//! incoming/                            packages that are being uploaded
//! reserve                              room that a start on a full disk frees
//! lost/                                files that a start found and the registry did not know
//! runtimes/RUNTIME/store/              measurements, documents, logs
//! runtimes/RUNTIME/versions/VERSION/   package.krt, and package/, unpacked
//! ```

mod reserve;

use crate::{error::Error, timestamp::Timestamp};
use krt_model::name::Name;
use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    ops::Deref,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The data folder, held by this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Folder {
    layout: Layout,
    _lock: Arc<File>,
}

/// The paths in a data folder, live or in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(PathBuf);

/// The folder of a version's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionFolder(PathBuf);

impl VersionFolder {
    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The package as it was uploaded.
    pub fn archive(&self) -> PathBuf {
        self.0.join("package.krt")
    }

    /// The package, unpacked.
    pub fn package(&self) -> PathBuf {
        self.0.join("package")
    }

    /// What its nodes run in, where that is made for this version alone.
    pub fn environment(&self) -> PathBuf {
        self.0.join("environment")
    }
}

impl Folder {
    /// Takes the folder, or creates it. Afterwards only this user can read it: access of others to a folder
    /// of this user is removed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        create(path)?;
        close_to_others(path)?;
        let failed = |source| Error::File { path: path.to_owned(), source };
        let lock = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(lock)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let layout = Layout::new(path.canonicalize().map_err(failed)?);
        let folder = Self { layout, _lock: Arc::new(lock) };
        reserve::open(&folder.path().join("reserve"));
        // Uploads end with the server, so leftovers have no owner.
        remove(&folder.incoming())?;
        create(&folder.incoming())?;
        create(&folder.runtimes())?;
        Ok(folder)
    }

    /// Moves files that the registry does not know to `lost/`, and logs it. Deletes nothing.
    pub(crate) fn set_aside(&self, path: &Path) -> Result<(), Error> {
        let name = path.strip_prefix(self.runtimes()).unwrap_or(path);
        let name = name.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "-");
        create(&self.lost())?;
        let lost = (0..)
            .map(|number| self.lost().join(format!("{name}-{}-{number}", Timestamp::now().0 / 1_000_000)))
            .find(|lost| !lost.exists())
            .unwrap_or_else(|| self.lost());
        fs::rename(path, &lost).map_err(|source| Error::File { path: path.to_owned(), source })?;
        tracing::warn!(
            hint = %"a restored registry may be older than these files; remove them when they are not needed",
            "`{}` is unknown to the registry and was moved to `{}`",
            path.display(),
            lost.display()
        );
        Ok(())
    }
}

impl Deref for Folder {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

impl Layout {
    /// The layout of the data folder at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The registry's database.
    pub fn database(&self) -> PathBuf {
        self.0.join("registry.db")
    }

    /// The folder of uploads; emptied at each start.
    pub fn incoming(&self) -> PathBuf {
        self.0.join("incoming")
    }

    /// The folder of files that a start found and the registry did not know.
    pub fn lost(&self) -> PathBuf {
        self.0.join("lost")
    }

    /// The folder of a runtime's measurements, documents and logs.
    pub fn store(&self, runtime: &Name) -> PathBuf {
        self.runtime(runtime).join("store")
    }

    /// The folder of a version's files.
    pub fn version(&self, runtime: &Name, version: &Name) -> VersionFolder {
        VersionFolder(self.runtime(runtime).join("versions").join(version.as_str()))
    }

    pub(crate) fn runtimes(&self) -> PathBuf {
        self.0.join("runtimes")
    }

    pub(crate) fn runtime(&self, runtime: &Name) -> PathBuf {
        self.runtimes().join(runtime.as_str())
    }
}

/// Creates a file for this user only.
pub(crate) fn create_file(path: &Path) -> Result<(), Error> {
    let created = File::options().write(true).create_new(true).mode(0o600).open(path);
    created.map(drop).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Removes other users' access: the folder holds secrets and clients' data.
fn close_to_others(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o700)).map_err(|source| Error::Open {
        path: path.to_owned(),
        mode,
        source,
    })?;
    tracing::warn!(
        "other users could open the data folder `{}` (mode {mode:o}); it is closed now",
        path.display()
    );
    Ok(())
}

/// Creates a folder and its parents, for this user only.
pub(crate) fn create(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Removes a folder, if it exists.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| Error::File { path: path.to_owned(), source }),
    }
}

/// The names of a folder's entries; none when it does not exist.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_server_and_is_private() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let folder = Folder::open(&path).unwrap();
        assert!(matches!(Folder::open(&path), Err(Error::InUse { .. })));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(Folder::open(&path).is_ok());
    }

    #[test]
    fn a_folder_open_to_others_becomes_private() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Folder::open(folder.path()).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn partial_uploads_are_removed_at_the_start() {
        let parent = tempfile::tempdir().unwrap();
        let left = Folder::open(parent.path()).unwrap().incoming().join("half");
        fs::write(&left, "x").unwrap();
        Folder::open(parent.path()).unwrap();
        assert!(!left.exists());
    }
}
