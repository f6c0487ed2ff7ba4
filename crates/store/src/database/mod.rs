//! The files of a store: opens, checks and locks them.
//!
//! A store is a folder with two SQLite databases in WAL mode, `telemetry.db` (measurements, logs and
//! requests) and `documents.db` (documents, and so predictions): a document never waits behind a batch of
//! points, and deleting old telemetry never touches what users saved. One process writes and holds the lock
//! on the file `lock` meanwhile; any number of processes read.

mod pool;

pub(crate) use pool::Pool;

use crate::error::Error;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::{
    fmt,
    fs::{self, DirBuilder, File, TryLockError},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a statement waits for another process that locks the database, as a checkpoint does.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The bytes of a disk that stay free; on a small disk, a fiftieth.
const MIN_FREE: u64 = 16 << 20;
/// Marks our files among SQLite's: "krt" and a number for the kind.
const APPLICATION_ID: i32 = 0x6b72_7400;

/// One of the databases.
pub(crate) struct Kind {
    file: &'static str,
    application: i32,
    /// The format's version, in the file as `user_version`.
    version: i64,
    schema: &'static str,
    /// Indexes and later tables, which are not part of the format: an older program's file gets those that it
    /// lacks.
    additions: &'static str,
}

pub(crate) static TELEMETRY: Kind = Kind {
    file: "telemetry.db",
    application: APPLICATION_ID | 1,
    version: 1,
    schema: include_str!("telemetry.sql"),
    additions: include_str!("telemetry-additions.sql"),
};

pub(crate) static DOCUMENTS: Kind = Kind {
    file: "documents.db",
    application: APPLICATION_ID | 2,
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

/// Creates the folder and takes its lock, which ends with the file handle, even when the process is killed.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    let failed = |source| Error::Folder { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join("lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens a database to write, and creates it where it is missing.
pub(crate) fn open_writer(folder: &Path, kind: &Kind, limit: Option<u64>) -> Result<Connection, Error> {
    let path = kind.path(folder);
    if !path.exists() {
        create_file(&path)?;
    }
    let open = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
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

/// Creates a database file for this user only; SQLite gives its other files the same mode.
pub(crate) fn create_file(path: &Path) -> Result<(), Error> {
    let created = File::options().write(true).create_new(true).mode(0o600).open(path);
    created.map(drop).map_err(|source| Error::Folder { path: path.to_owned(), source })
}

/// Moves a damaged database and its other files aside, so that a new one can be created. Returns the
/// database's new path.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::Folder { path: path.to_owned(), source };
    let beside = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let seconds = crate::clock::now() / 1_000_000_000;
    let aside = (0..)
        .map(|number| beside(path, &format!(".damaged-{seconds}-{number}")))
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| beside(path, ".damaged"));
    // The database moves last: a start after a crash in between still finds it damaged.
    for ending in ["-wal", "-shm"] {
        match fs::rename(beside(path, ending), beside(&aside, ending)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            moved => moved.map_err(failed)?,
        }
    }
    fs::rename(path, &aside).map_err(failed)?;
    Ok(aside)
}

/// Fails when the disk is nearly full. SQLite needs the remaining space to open a database, so that a service
/// can restart, and to delete old data.
pub(crate) fn check_room(path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    match rustix::fs::statvfs(folder) {
        Ok(disk) if disk.f_bavail * disk.f_frsize < MIN_FREE.min(disk.f_blocks * disk.f_frsize / 50) => {
            Err(Error::Full { path: path.to_owned() })
        }
        _ => Ok(()),
    }
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
        connection.busy_timeout(BUSY_TIMEOUT)?;
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

/// Checks that the file is ours, in a known format.
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

/// Creates the tables, all or none.
fn create(connection: &mut Connection, kind: &Kind) -> rusqlite::Result<()> {
    // Only possible before the first table: returns the space of deleted data in small steps.
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
    // A commit survives the process at once, and the file survives a power cut intact, but a power cut may
    // lose the last commits.
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

/// Maps an error of SQLite to the store's own.
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
