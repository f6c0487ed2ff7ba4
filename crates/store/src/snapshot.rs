//! A consistent copy of a store, to back it up while a process writes it.

use crate::{
    database::{self, DOCUMENTS, Kind, TELEMETRY},
    error::Error,
};
use rusqlite::{Connection, backup};
use std::path::Path;

/// The pages copied between two calls of `copied`.
const STEP: std::ffi::c_int = 1024;

/// The databases of a store at one moment. Holds a read transaction on each.
#[derive(Debug)]
pub struct Snapshot {
    databases: Vec<(&'static Kind, Connection)>,
}

impl Snapshot {
    /// Takes a snapshot of the store in a folder; it is empty where there is none.
    pub fn take(folder: &Path) -> Result<Self, Error> {
        let mut databases = Vec::new();
        for kind in [&TELEMETRY, &DOCUMENTS] {
            let connection = match database::open_reader(folder, kind) {
                Err(Error::Missing { .. }) => continue,
                opened => opened?,
            };
            // The transaction begins with its first read.
            connection
                .execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
                .map_err(|source| database::failure(&kind.path(folder), source))?;
            databases.push((kind, connection));
        }
        Ok(Self { databases })
    }

    /// Whether there was no store.
    pub fn is_empty(&self) -> bool {
        self.databases.is_empty()
    }

    /// Writes the databases to another folder, which must not have any of them. Calls `copied` regularly with
    /// the bytes copied since its last call.
    pub fn write(&self, into: &Path, mut copied: impl FnMut(u64)) -> Result<(), Error> {
        std::fs::create_dir_all(into).map_err(|source| Error::Folder { path: into.to_owned(), source })?;
        for (kind, connection) in &self.databases {
            let path = kind.path(into);
            database::create_file(&path)?;
            copy(connection, &path, &mut copied).map_err(|source| database::failure(&path, source))?;
        }
        Ok(())
    }
}

fn copy(from: &Connection, to: &Path, copied: &mut impl FnMut(u64)) -> rusqlite::Result<()> {
    let page: u32 = from.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let mut target = Connection::open(to)?;
    {
        let backup = backup::Backup::new(from, &mut target)?;
        let mut done = 0;
        loop {
            let step = backup.step(STEP)?;
            let progress = backup.progress();
            let pages = u64::try_from(progress.pagecount - progress.remaining).unwrap_or_default();
            copied((pages - done) * u64::from(page));
            done = pages;
            if step == backup::StepResult::Done {
                break;
            }
        }
    }
    target.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
}
