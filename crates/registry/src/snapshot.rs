//! A consistent copy of a data folder, to back it up while a server uses it.

use crate::{
    error::Error,
    folder::{self, Layout},
};
use krt_model::name::Name;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, backup};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    time::Duration,
};

/// How long a snapshot waits for a change in progress.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The pages copied between two checks of the deadline.
const STEP_PAGES: std::ffi::c_int = 1024;

/// The registry and the packages of its versions at one moment.
///
/// Holds a read transaction and open files, so that later changes and deletions by the server do not matter.
#[derive(Debug)]
pub struct Snapshot {
    registry: Connection,
    packages: Vec<Package>,
}

#[derive(Debug)]
struct Package {
    runtime: Name,
    version: Name,
    file: File,
}

impl Snapshot {
    /// Takes a snapshot. Calls `also` with the ids of all runtimes at that moment; the registry cannot change
    /// until it returns.
    pub fn take<T, E: From<Error>>(
        layout: &Layout,
        also: impl FnOnce(&[Name]) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let mut writer = connect(layout, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let still = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Error::from)?;
        let registry = connect(layout, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        registry.execute_batch("BEGIN").map_err(Error::from)?;
        let runtimes = names(&registry, "SELECT id, id FROM runtime ORDER BY id")?;
        let runtimes: Vec<_> = runtimes.into_iter().map(|(runtime, _)| runtime).collect();
        let packages = names(&registry, "SELECT runtime, name FROM version ORDER BY id")?
            .into_iter()
            .map(|(runtime, version)| {
                let path = layout.version(&runtime, &version).archive();
                let file = File::open(&path).map_err(|source| Error::File { path, source })?;
                Ok(Package { runtime, version, file })
            })
            .collect::<Result<_, Error>>()?;
        let also = also(&runtimes)?;
        still.rollback().map_err(Error::from)?;
        Ok((Self { registry, packages }, also))
    }

    /// The runtime and name of each version in the snapshot.
    pub fn versions(&self) -> impl ExactSizeIterator<Item = (&Name, &Name)> {
        self.packages.iter().map(|package| (&package.runtime, &package.version))
    }

    /// Writes the registry and the packages to another data folder. Leaves sessions out: users sign in again.
    pub fn write(mut self, into: &Layout) -> Result<(), Error> {
        folder::create(into.path())?;
        let mut copy = create(into)?;
        {
            let backup = backup::Backup::new(&self.registry, &mut copy)?;
            while backup.step(STEP_PAGES)? != backup::StepResult::Done {}
        }
        copy.execute_batch("DELETE FROM session; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
        for package in &mut self.packages {
            let place = into.version(&package.runtime, &package.version);
            folder::create(place.folder())?;
            copy_file(&mut package.file, &place.archive())?;
        }
        Ok(())
    }
}

fn connect(layout: &Layout, access: OpenFlags) -> Result<Connection, Error> {
    let connection =
        Connection::open_with_flags(layout.database(), access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Creates a database that only this user can read.
fn create(into: &Layout) -> Result<Connection, Error> {
    let path = into.database();
    folder::create_file(&path)?;
    Ok(Connection::open(path)?)
}

fn names(connection: &Connection, sql: &str) -> Result<Vec<(Name, Name)>, Error> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (first, second) = row?;
        let parse = |text: &str| {
            Name::parse(text).map_err(|_| Error::Text { what: "name in the registry", rule: "a valid name" })
        };
        Ok((parse(&first)?, parse(&second)?))
    })
    .collect()
}

fn copy_file(from: &mut File, to: &std::path::Path) -> Result<(), Error> {
    let mut copy = || -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(to)?;
        io::copy(from, &mut file)?;
        file.sync_all()
    };
    copy().map_err(|source| {
        // Half a copy is worse than none.
        let _ = fs::remove_file(to);
        Error::File { path: to.to_owned(), source }
    })
}
