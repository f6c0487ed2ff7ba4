//! The file `registry.db`: opening it, and bringing it to the newest format.

use crate::error::Error;
use rusqlite::{Connection, TransactionBehavior};
use std::{path::Path, time::Duration};

/// Each brings the database from the format that is its index to the next. Never changed, only added to.
const MIGRATIONS: &[&str] = &[include_str!("1.sql"), include_str!("2.sql")];

/// How long a statement waits for another program that looks into the file.
const BUSY: Duration = Duration::from_secs(5);

/// Opens the database, and makes or migrates it.
pub(crate) fn open(path: &Path) -> Result<Connection, Error> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // What was confirmed outlives a power cut: there is little of it, and much depends on it.
    connection.pragma_update(None, "synchronous", "FULL")?;
    migrate(&mut connection, path)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_made_once_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.db");
        let write = open(&path).unwrap();
        write.execute("INSERT INTO runtime VALUES ('a', 'A', '', 1)", []).unwrap();
        drop(write);
        let count: i64 =
            open(&path).unwrap().query_row("SELECT count(*) FROM runtime", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    }

    #[test]
    fn a_newer_format_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.db");
        open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(open(&path), Err(Error::Newer { found: 99, .. })));
    }
}
