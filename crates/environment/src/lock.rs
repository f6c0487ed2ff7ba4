//! A file lock between processes.

use crate::error::Error;
use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    time::Duration,
};
use tokio::time::sleep;

/// The interval of attempts to take a lock.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A lock on a place, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock if it is free. Creates its file and folder.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |source| Error::Cache { path: path.to_owned(), source };
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Takes the lock once it is free; calls `on_wait` once if it must wait.
    pub(crate) async fn take(path: &Path, on_wait: impl FnOnce()) -> Result<Self, Error> {
        if let Some(lock) = Self::try_take(path)? {
            return Ok(lock);
        }
        on_wait();
        loop {
            sleep(POLL_INTERVAL).await;
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
        }
    }

    /// The locked file, for a child process to hold too: if this process is killed, the lock lasts until the
    /// child has ended.
    pub(crate) fn share(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_exclusive_until_all_holders_drop_it() {
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join("deep/k.lock");
        let lock = Lock::try_take(&path).unwrap().unwrap();
        let shared = lock.share().unwrap();
        drop(lock);
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(shared);
        // A process that another test is spawning may inherit the file until its exec.
        Lock::take(&path, || {}).await.unwrap();
    }
}
