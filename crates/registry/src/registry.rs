//! The handle.

use crate::{
    database,
    error::Error,
    folder::{self, Folder},
};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// What a server remembers; the methods stand in the file of the noun that they are about.
#[derive(Debug)]
pub struct Registry {
    connection: Mutex<Connection>,
    folder: Folder,
}

impl Registry {
    /// Takes a data folder, and makes what is missing in it. Files that belong to no version, as a
    /// killed server may leave them, are removed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let folder = Folder::open(path)?;
        let connection = database::open(&folder.database())?;
        let registry = Self { connection: Mutex::new(connection), folder };
        registry.sweep()?;
        Ok(registry)
    }

    /// Where the files are.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Reads.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        read(&transaction)
    }

    /// Changes: all of it, or, when it fails, nothing.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = write(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    fn sweep(&self) -> Result<(), Error> {
        let known = |sql: &str, key: &[&str]| {
            self.read(|connection| {
                let mut statement = connection.prepare(sql)?;
                let names = statement.query_map(rusqlite::params_from_iter(key), |row| row.get(0))?;
                Ok(names.collect::<rusqlite::Result<BTreeSet<String>>>()?)
            })
        };
        let runtimes = known("SELECT id FROM runtime", &[])?;
        for runtime in folder::names(&self.folder.runtimes()) {
            let path = self.folder.runtimes().join(&runtime);
            if !runtimes.contains(&runtime) {
                folder::remove(&path)?;
                continue;
            }
            let versions = known("SELECT name FROM version WHERE runtime = ?", &[&runtime])?;
            let folders = path.join("versions");
            for version in folder::names(&folders).iter().filter(|name| !versions.contains(*name)) {
                folder::remove(&folders.join(version))?;
            }
        }
        Ok(())
    }
}
