//! The files of a store: opening, checking, locking.
//!
//! A store is a folder with two SQLite databases in WAL mode, `telemetry.db` (measurements, logs and
//! requests)
//! and `documents.db` (documents, and so predictions), so that a document is never behind a batch of
//! points, and removing old telemetry never touches what a user saved. One process writes, and holds
//! the lock on the file `lock` meanwhile; any number of processes read.

mod pool;

pub(crate) use pool::Pool;

use crate::error::Error;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::{
    fmt,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a statement waits where another process holds the database, as a checkpoint does.
const BUSY: Duration = Duration::from_secs(5);
/// Marks our files among SQLite's: "krt" and a number for the kind.
const APPLICATION: i32 = 0x6b72_7400;

/// One of the databases.
pub(crate) struct Kind {
    file: &'static str,
    application: i32,
    /// The version of the format; kept in the file as `user_version`.
    version: i64,
    schema: &'static str,
    /// Indexes, and tables that came later, are no part of the format: a file that an older program made gets those
    /// it lacks.
    additions: &'static str,
}

pub(crate) static TELEMETRY: Kind = Kind {
    file: "telemetry.db",
    application: APPLICATION | 1,
    version: 1,
    schema: include_str!("telemetry.sql"),
    additions: include_str!("telemetry-additions.sql"),
};

pub(crate) static DOCUMENTS: Kind = Kind {
    file: "documents.db",
    application: APPLICATION | 2,
    version: 1,
    schema: include_str!("documents.sql"),
    additions: include_str!("documents-additions.sql"),
};

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file)
    }
}

impl Kind {
    pub(crate) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(self.file)
    }
}

/// Makes the folder and takes its lock, which ends with the file's handle: also when the process is
/// killed.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    let failed = |source| Error::Folder { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let file =
        File::options().create(true).truncate(false).write(true).open(folder.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens a database to write, and makes it where it is missing.
pub(crate) fn open_writer(folder: &Path, kind: &Kind, limit: Option<u64>) -> Result<Connection, Error> {
    let path = kind.path(folder);
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    };
    let mut connection = open().map_err(|source| failure(&path, source))?;
    if check(&connection, kind, &path)? == State::Empty {
        create(&mut connection, kind).map_err(|source| failure(&path, source))?;
    }
    connection.execute_batch(kind.additions).map_err(|source| failure(&path, source))?;
    configure(&connection, limit).map_err(|source| failure(&path, source))?;
    Ok(connection)
}

/// Opens a database to read.
pub(crate) fn open_reader(folder: &Path, kind: &Kind) -> Result<Connection, Error> {
    let path = kind.path(folder);
    let missing = || Error::Missing { path: folder.to_owned() };
    if !path.exists() {
        return Err(missing());
    }
    let open = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "cache_size", -1024)?;
        Ok(connection)
    };
    let connection = open().map_err(|source| failure(&path, source))?;
    match check(&connection, kind, &path)? {
        State::Ready => Ok(connection),
        State::Empty => Err(missing()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Empty,
    Ready,
}

/// Whether the file is ours, and of a format we know.
fn check(connection: &Connection, kind: &Kind, path: &Path) -> Result<State, Error> {
    let number = |pragma: &str| {
        connection
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .map_err(|source| failure(path, source))
    };
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|source| failure(path, source))?;
    let (application, version) = (number("application_id")?, number("user_version")?);
    if tables == 0 && application == 0 {
        return Ok(State::Empty);
    }
    if application != i64::from(kind.application) {
        return Err(Error::Damaged { path: path.to_owned(), source: None });
    }
    if version > kind.version {
        return Err(Error::Newer { path: path.to_owned(), found: version, known: kind.version });
    }
    Ok(State::Ready)
}

/// Makes the tables, all or none.
fn create(connection: &mut Connection, kind: &Kind) -> rusqlite::Result<()> {
    // Only possible before the first table: lets removed data give its space back in small steps.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(kind.schema)?;
    transaction.pragma_update(None, "application_id", kind.application)?;
    transaction.pragma_update(None, "user_version", kind.version)?;
    transaction.commit()
}

fn configure(connection: &Connection, limit: Option<u64>) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A commit outlives the process at once, and the file outlives a power cut whole, but a power
    // cut may take the last commits.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", 16 << 20, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.set_prepared_statement_cache_capacity(32);
    if let Some(limit) = limit {
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(limit).unwrap_or(i64::MAX) / page.max(1);
        let pages = pages.clamp(1, (1 << 32) - 2);
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(())
}

/// What an error of SQLite means to who runs the store.
pub(crate) fn failure(path: &Path, source: rusqlite::Error) -> Error {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::Damaged { path, source: Some(source) }
        }
        Some(ErrorCode::DiskFull) => Error::Full { path },
        _ => Error::Database { path, source },
    }
}
