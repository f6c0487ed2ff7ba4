//! Connections that read, kept for the next who reads.

use super::{Kind, failure, open_reader};
use crate::error::Error;
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The most idle connections that are kept.
const IDLE: usize = 4;

/// Connections to read one database.
#[derive(Debug)]
pub(crate) struct Pool {
    folder: PathBuf,
    kind: &'static Kind,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    /// Connections to a database that must be there.
    pub(crate) fn open(folder: &Path, kind: &'static Kind) -> Result<Self, Error> {
        let first = open_reader(folder, kind)?;
        Ok(Self { folder: folder.to_owned(), kind, idle: Mutex::new(vec![first]) })
    }

    /// Reads with a connection of its own, in one transaction: whatever is written meanwhile, all
    /// statements see the same.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.folder, self.kind)?,
        };
        let value = in_transaction(&connection, read).map_err(|source| self.failure(source))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(value)
    }

    /// What an error of SQLite means.
    pub(crate) fn failure(&self, source: rusqlite::Error) -> Error {
        failure(&self.kind.path(&self.folder), source)
    }
}

/// The transaction is rolled back at the end, which is as good as a commit where nothing is written.
fn in_transaction<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.unchecked_transaction()?;
    read(&transaction)
}
