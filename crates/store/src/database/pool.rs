//! A pool of connections for reading.

use super::{Kind, failure, open_reader};
use crate::error::Error;
use rusqlite::Connection;
use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The most idle connections.
const MAX_IDLE: usize = 4;

/// A pool of read connections to one database.
#[derive(Debug)]
pub(crate) struct Pool {
    folder: PathBuf,
    kind: &'static Kind,
    idle: Mutex<Vec<Idle>>,
}

/// An idle connection and the id of its file: a damaged database may have been replaced since.
#[derive(Debug)]
struct Idle {
    connection: Connection,
    file: FileId,
}

/// Device and inode of a file; `None` where it does not exist.
type FileId = Option<(u64, u64)>;

impl Pool {
    /// A pool for an existing database.
    pub(crate) fn open(folder: &Path, kind: &'static Kind) -> Result<Self, Error> {
        let first = Idle { file: file_id(&kind.path(folder)), connection: open_reader(folder, kind)? };
        Ok(Self { folder: folder.to_owned(), kind, idle: Mutex::new(vec![first]) })
    }

    /// Reads on a connection of its own, in one transaction: all statements see the same state despite
    /// concurrent writes.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let file = file_id(&self.kind.path(&self.folder));
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(idle) if idle.file == file => idle.connection,
            _ => open_reader(&self.folder, self.kind)?,
        };
        let value = in_transaction(&connection, read).map_err(|source| self.failure(source))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, file });
        }
        Ok(value)
    }

    /// Maps an error of SQLite to the store's own.
    pub(crate) fn failure(&self, source: rusqlite::Error) -> Error {
        failure(&self.kind.path(&self.folder), source)
    }
}

fn file_id(path: &Path) -> FileId {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Rolls the transaction back at the end, which equals a commit where nothing is written.
fn in_transaction<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.unchecked_transaction()?;
    read(&transaction)
}
