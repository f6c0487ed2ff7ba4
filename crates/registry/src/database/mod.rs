//! The file `registry.db`: opens it, and migrates it to the newest format.

use crate::{error::Error, folder};
use rusqlite::{Connection, TransactionBehavior};
use std::{path::Path, time::Duration};

/// Each entry migrates the database from the format of its index to the next. Append only.
const MIGRATIONS: &[&str] = &[include_str!("1.sql"), include_str!("2.sql"), include_str!("3.sql")];

/// How long a statement waits for another program that uses the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens and migrates the database. Creates one only where no runtime has data that would depend on an old
/// one.
pub(crate) fn open(path: &Path, runtimes: &[String]) -> Result<Connection, Error> {
    let missing = || Error::NoRegistry { path: path.to_owned(), runtimes: runtimes.to_vec() };
    if !runtimes.is_empty() && !path.exists() {
        return Err(missing());
    }
    // Readable by this user only; SQLite gives its other files the same mode.
    if !path.exists() {
        folder::create_file(path)?;
    }
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if !runtimes.is_empty() && format(&connection)? == 0 {
        return Err(missing());
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A confirmed change must outlive a power cut: there is little data, and much depends on it.
    connection.pragma_update(None, "synchronous", "FULL")?;
    migrate(&mut connection, path)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = format(&transaction)?;
    if found > MIGRATIONS.len() {
        return Err(Error::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() });
    }
    for migration in &MIGRATIONS[found..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    transaction.commit()?;
    Ok(())
}

/// The format of the database; 0 when empty.
fn format(connection: &Connection) -> Result<usize, Error> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(found).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_created_once_and_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.db");
        let write = open(&path, &[]).unwrap();
        write.execute("INSERT INTO runtime VALUES ('a', 'A', '', 1)", []).unwrap();
        drop(write);
        let count: i64 = open(&path, &[])
            .unwrap()
            .query_row("SELECT count(*) FROM runtime", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 1);
    }

    #[test]
    fn newer_formats_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.db");
        open(&path, &[]).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(open(&path, &[]), Err(Error::Newer { found: 99, .. })));
    }
}
