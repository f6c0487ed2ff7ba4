//! A lock between processes: a file that one of them holds.

use crate::error::Error;
use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    time::Duration,
};
use tokio::time::sleep;

/// How often a process looks whether another one is ready.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The right to work at a place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock if it is free. Its file is made, with the folder it lies in.
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

    /// Takes the lock as soon as it is free; tells once if it has to wait.
    pub(crate) async fn take(path: &Path, on_wait: impl FnOnce()) -> Result<Self, Error> {
        if let Some(lock) = Self::try_take(path)? {
            return Ok(lock);
        }
        on_wait();
        loop {
            sleep(LOOK_EVERY).await;
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
        }
    }

    /// The locked file, for a child process to hold too: should this process be killed, the lock stays
    /// until the child has ended.
    pub(crate) fn share(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_keeps_others_out_until_dropped_by_all() {
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join("deep/k.lock");
        let lock = Lock::try_take(&path).unwrap().unwrap();
        let shared = lock.share().unwrap();
        drop(lock);
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(shared);
        // A process that another test is just starting may hold the file until it is what it shall be.
        Lock::take(&path, || {}).await.unwrap();
    }
}
