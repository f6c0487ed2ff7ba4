//! The cache of environments.
//!
//! Each environment has a folder with the virtual environment, its record and, while it is created, a
//! work folder for temporary files. The record is written last and marks the environment as complete; a folder
//! without one is left from an interrupted run, and the next run that needs the place removes it. A lock
//! beside the folder ensures that only one process at a time creates an environment. The record's
//! modification time is the environment's last use.

use crate::{error::Error, lock::Lock};
use pep440_rs::Version;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// The file that marks an environment as complete.
const RECORD: &str = "record.json";

/// The folder of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EnvironmentFolder {
    folder: PathBuf,
}

/// How an environment was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) version: Version,
    pub(crate) protobuf: Version,
    /// The interpreter of the environment.
    pub(crate) base: PathBuf,
    /// The tool that installed the packages.
    pub(crate) tool: String,
}

/// An environment under construction, removed when dropped unfinished.
#[derive(Debug)]
pub(crate) struct PartialEntry<'a> {
    place: &'a EnvironmentFolder,
    finished: bool,
}

/// The result of [`crate::Environments::clean`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// Environments removed.
    pub removed: usize,
    /// Environments kept.
    pub kept: usize,
}

impl EnvironmentFolder {
    /// The folder of the environment with this key.
    pub(crate) fn new(environments: &Path, key: &str) -> Self {
        Self { folder: environments.join(key) }
    }

    /// The virtual environment.
    pub(crate) fn environment(&self) -> PathBuf {
        self.folder.join("venv")
    }

    /// The environment's interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("venv/bin/python")
    }

    /// The folder of temporary files during construction, private to this user.
    pub(crate) fn work_folder(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// The folder for copies of editable projects.
    pub(crate) fn projects(&self) -> PathBuf {
        self.folder.join("projects")
    }

    /// The record, if the environment is complete and its base interpreter still exists.
    pub(crate) fn complete(&self) -> Option<Record> {
        let record = fs::read(self.folder.join(RECORD)).ok()?;
        let record = serde_json::from_slice(&record).ok()?;
        self.python().is_file().then_some(record)
    }

    /// Whether the environment is complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete().is_some()
    }

    /// Marks the environment as used now. If that fails, it only seems older.
    pub(crate) fn touch(&self) {
        let record = File::options().append(true).open(self.folder.join(RECORD));
        drop(record.and_then(|record| record.set_modified(SystemTime::now())));
    }

    fn last_used(&self) -> Option<SystemTime> {
        fs::metadata(self.folder.join(RECORD)).ok()?.modified().ok()
    }

    /// The lock file: its holder may create or remove the environment.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.folder.with_extension("lock")
    }

    /// Removes what there is, and creates an empty entry.
    pub(crate) fn create(&self, lock: &Lock) -> Result<PartialEntry<'_>, Error> {
        self.remove(lock)?;
        let half_made = PartialEntry { place: self, finished: false };
        let work_folder = self.work_folder();
        let made = fs::create_dir(&self.folder)
            .and_then(|()| fs::DirBuilder::new().mode(0o700).create(&work_folder));
        made.map(|()| half_made).map_err(|source| Error::Cache { path: work_folder, source })
    }

    /// Removes the environment, or the leftovers of an interrupted run.
    fn remove(&self, _lock: &Lock) -> Result<(), Error> {
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::Cache { path: self.folder.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

impl PartialEntry<'_> {
    /// Writes the record, which completes the environment.
    pub(crate) fn finish(mut self, record: &Record) -> Result<(), Error> {
        let path = self.place.folder.join(RECORD);
        self.write_record(&path, record).map_err(|source| Error::Cache { path, source })?;
        self.finished = true;
        Ok(())
    }

    fn write_record(&self, path: &Path, record: &Record) -> io::Result<()> {
        fs::remove_dir_all(self.place.work_folder())?;
        let mut file = tempfile::NamedTempFile::new_in(&self.place.folder)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        file.persist(path)?;
        Ok(())
    }
}

impl Drop for PartialEntry<'_> {
    fn drop(&mut self) {
        if !self.finished {
            drop(fs::remove_dir_all(&self.place.folder));
        }
    }
}

/// Removes environments unused for a time, and leftovers of interrupted runs.
pub(crate) fn clean(environments: &Path, unused_for: Duration) -> Result<Cleaned, Error> {
    let mut cleaned = Cleaned::default();
    let oldest = SystemTime::now().checked_sub(unused_for);
    for folder in fs::read_dir(environments).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if !folder.is_dir() {
            continue;
        }
        let place = EnvironmentFolder { folder };
        let in_use = place.last_used().is_some_and(|used| oldest.is_none_or(|oldest| used > oldest));
        match if in_use { None } else { Lock::try_take(&place.lock_file())? } {
            Some(lock) => {
                place.remove(&lock)?;
                cleaned.removed += 1;
            }
            None => cleaned.kept += 1,
        }
    }
    Ok(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    fn record() -> Record {
        Record {
            version: Version::from_str("3.12.1").unwrap(),
            protobuf: Version::from_str("6.33.0").unwrap(),
            base: "/usr/bin/python3".into(),
            tool: "pip".into(),
        }
    }

    fn lock(place: &EnvironmentFolder) -> Lock {
        Lock::try_take(&place.lock_file()).unwrap().unwrap()
    }

    fn make(place: &EnvironmentFolder) {
        let lock = lock(place);
        let half_made = place.create(&lock).unwrap();
        fs::create_dir_all(place.environment().join("bin")).unwrap();
        fs::write(place.python(), "").unwrap();
        half_made.finish(&record()).unwrap();
        assert!(!place.work_folder().exists());
    }

    #[test]
    fn an_environment_is_complete_once_sealed() {
        let cache = tempfile::tempdir().unwrap();
        let place = EnvironmentFolder::new(cache.path(), "k");
        assert_eq!(place.complete(), None);
        make(&place);
        assert_eq!(place.complete(), Some(record()));
        fs::remove_file(place.python()).unwrap();
        assert_eq!(place.complete(), None, "its interpreter is gone");
    }

    #[test]
    fn unfinished_environments_are_removed() {
        let cache = tempfile::tempdir().unwrap();
        let place = EnvironmentFolder::new(cache.path(), "k");
        let lock = lock(&place);
        let half_made = place.create(&lock).unwrap();
        fs::create_dir_all(place.environment().join("lib")).unwrap();
        drop(half_made);
        assert!(!place.folder.exists());
    }

    #[test]
    fn cleaning_removes_old_and_abandoned_environments() {
        let cache = tempfile::tempdir().unwrap();
        let place = |key| EnvironmentFolder::new(cache.path(), key);
        let (old, new, made) = (place("old"), place("new"), place("made"));
        make(&old);
        make(&new);
        let then = SystemTime::now() - Duration::from_secs(3600);
        let sealed = File::options().append(true).open(old.folder.join(RECORD)).unwrap();
        sealed.set_modified(then).unwrap();
        for half_made in [&place("left"), &made] {
            fs::create_dir(&half_made.folder).unwrap();
        }
        let _making = lock(&made);
        let cleaned = clean(cache.path(), Duration::from_secs(60)).unwrap();
        assert_eq!(cleaned, Cleaned { removed: 2, kept: 2 });
        assert!(new.complete().is_some() && made.folder.exists() && !old.folder.exists());
        old.touch();
        assert_eq!(clean(&cache.path().join("nothing"), Duration::ZERO).unwrap(), Cleaned::default());
    }

    #[test]
    fn use_renews_the_age() {
        let cache = tempfile::tempdir().unwrap();
        let place = EnvironmentFolder::new(cache.path(), "k");
        make(&place);
        let sealed = File::options().append(true).open(place.folder.join(RECORD)).unwrap();
        sealed.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        place.touch();
        let cleaned = clean(cache.path(), Duration::from_secs(60)).unwrap();
        assert_eq!(cleaned, Cleaned { removed: 0, kept: 1 });
    }
}
