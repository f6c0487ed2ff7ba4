//! The data folder of a server: who has it, and where in it things are.
//!
//! ```text
//! lock                                 held while a server has the folder
//! registry.db                          all that is not a file
//! incoming/                            packages that are being uploaded
//! runtimes/RUNTIME/store/              measurements, documents, logs
//! runtimes/RUNTIME/versions/VERSION/   package.krt, and package/, unpacked
//! ```

use crate::error::Error;
use krt_model::name::Name;
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The data folder, held by this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    _lock: Arc<File>,
}

/// Where a version's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(PathBuf);

impl Place {
    /// The folder of all of them.
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
}

impl Folder {
    /// Takes the folder, and makes it where it is missing. Only this user may look into it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        make(path)?;
        let failed = |source| Error::File { path: path.to_owned(), source };
        let lock = path.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(lock).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let folder = Self { path: path.canonicalize().map_err(failed)?, _lock: Arc::new(lock) };
        // What was being uploaded when the server ended is nobody's.
        remove(&folder.incoming())?;
        make(&folder.incoming())?;
        make(&folder.runtimes())?;
        Ok(folder)
    }

    /// The registry's database.
    pub fn database(&self) -> PathBuf {
        self.path.join("registry.db")
    }

    /// For packages that are being uploaded; emptied at each start.
    pub fn incoming(&self) -> PathBuf {
        self.path.join("incoming")
    }

    /// Where a runtime's measurements, documents and logs are.
    pub fn store(&self, runtime: &Name) -> PathBuf {
        self.runtime(runtime).join("store")
    }

    /// Where a version's files are.
    pub fn version(&self, runtime: &Name, version: &Name) -> Place {
        Place(self.runtime(runtime).join("versions").join(version.as_str()))
    }

    pub(crate) fn runtimes(&self) -> PathBuf {
        self.path.join("runtimes")
    }

    pub(crate) fn runtime(&self, runtime: &Name) -> PathBuf {
        self.runtimes().join(runtime.as_str())
    }
}

/// Makes a folder, with those above it, for this user only.
pub(crate) fn make(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Removes a folder, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| Error::File { path: path.to_owned(), source }),
    }
}

/// The names of what is in a folder; none where there is no folder.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn one_server_has_a_folder_and_others_may_not_look() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let folder = Folder::open(&path).unwrap();
        assert!(matches!(Folder::open(&path), Err(Error::InUse { .. })));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(Folder::open(&path).is_ok());
    }

    #[test]
    fn half_an_upload_does_not_outlive_the_server() {
        let parent = tempfile::tempdir().unwrap();
        let left = Folder::open(parent.path()).unwrap().incoming().join("half");
        fs::write(&left, "x").unwrap();
        Folder::open(parent.path()).unwrap();
        assert!(!left.exists());
    }
}
