//! The registry's handle.

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
use tokio::sync::watch;

/// The persistent state of a server; each method is in the file of its noun.
#[derive(Debug)]
pub struct Registry {
    connection: Mutex<Connection>,
    /// Signals every change of users, sessions and tokens.
    pub(crate) identities: watch::Sender<()>,
    folder: Folder,
}

impl Registry {
    /// Takes a data folder, and creates what is missing in it. Moves files that the registry does not know,
    /// such as leftovers of a killed server or an older registry, to `lost/`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let folder = Folder::open(path)?;
        let connection = database::open(&folder.database(), &folder::names(&folder.runtimes()))?;
        let registry =
            Self { connection: Mutex::new(connection), identities: watch::Sender::new(()), folder };
        registry.sweep()?;
        Ok(registry)
    }

    /// The data folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Runs a read.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        read(&transaction)
    }

    /// Runs a change in a transaction.
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

    /// Runs a change that may end identities; live streams then check theirs again.
    pub(crate) fn write_identities<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let value = self.write(write)?;
        self.identities.send_replace(());
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
                self.folder.set_aside(&path)?;
                continue;
            }
            let versions = known("SELECT name FROM version WHERE runtime = ?", &[&runtime])?;
            let folders = path.join("versions");
            for version in folder::names(&folders).iter().filter(|name| !versions.contains(*name)) {
                self.folder.set_aside(&folders.join(version))?;
            }
        }
        Ok(())
    }
}
