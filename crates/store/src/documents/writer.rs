//! The thread that commits documents: all waiting ones in one transaction.
//!
//! A save is confirmed after its commit, which survives the end of the process.

use super::queue::{Queue, Save, SaveGroup};
use crate::{
    clock,
    database::{self, DOCUMENTS},
    error::Error,
    options::Options,
};
use rusqlite::{Connection, Transaction, TransactionBehavior, ffi, params};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// The interval of deleting old documents.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
/// The most documents deleted in one step.
const STEP: i64 = 500;

/// Owns the database of documents.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Arc<Queue>,
    connection: Connection,
    path: PathBuf,
    collections: HashMap<String, i64>,
    age: Option<Duration>,
    retain_at: Instant,
}

/// Closes the queue however the writer ends, so that no caller waits for it.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
        drop(self.0.take(Duration::ZERO));
    }
}

impl Writer {
    /// Opens the database.
    pub(crate) fn open(folder: &Path, options: &Options, queue: Arc<Queue>) -> Result<Self, Error> {
        Ok(Self {
            queue,
            connection: database::open_writer(folder, &DOCUMENTS, options.file_limit)?,
            path: DOCUMENTS.path(folder),
            collections: HashMap::new(),
            age: options.document_age,
            retain_at: Instant::now(),
        })
    }

    /// Commits until the store is closed, then commits the rest.
    pub(crate) fn run(mut self) {
        let closing = Closing(Arc::clone(&self.queue));
        loop {
            let taken = self.queue.take(self.timeout());
            if !taken.saves.is_empty() {
                self.commit(taken.saves);
            }
            if taken.closed {
                break;
            }
            if Instant::now() >= self.retain_at {
                self.retain();
            }
        }
        drop(closing);
        let truncated = self.connection.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
        if let Err(error) = truncated {
            tracing::debug!(%error, "the documents' log was left to the next start");
        }
    }

    fn timeout(&self) -> Duration {
        match self.age {
            Some(_) => self.retain_at.saturating_duration_since(Instant::now()),
            None => RETENTION_INTERVAL,
        }
    }

    /// Writes the documents and reports each result.
    fn commit(&mut self, saves: Vec<Save>) {
        if database::check_room(&self.path).is_err() {
            for save in saves {
                answer(save, Err(Error::Full { path: self.path.clone() }));
            }
            return;
        }
        match self.write(&saves) {
            Ok(results) => saves.into_iter().zip(results).for_each(|(save, result)| answer(save, result)),
            Err(source) => {
                // The rollback also undid the numbers of new collections.
                self.collections.clear();
                for save in saves {
                    save.order.iter().for_each(SaveGroup::fail);
                    let error = database::failure(&self.path, again(&source));
                    answer(save, Err(error));
                }
            }
        }
    }

    /// The result of each save. An error applies to all of them, and nothing was written.
    fn write(&mut self, saves: &[Save]) -> rusqlite::Result<Vec<Result<(), Error>>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = clock::now();
        let results = saves
            .iter()
            .map(|save| insert(&transaction, &mut self.collections, save, now))
            .collect::<rusqlite::Result<_>>()?;
        transaction.commit()?;
        Ok(results)
    }

    fn retain(&mut self) {
        let removed = match self.age {
            Some(age) => self.remove_before(clock::now().saturating_sub(clock::nanos(age))),
            None => Ok(0),
        };
        let more = match removed {
            Ok(removed) => removed > 0,
            Err(source) => {
                let error = database::failure(&self.path, source);
                tracing::warn!(%error, "old documents could not be removed");
                false
            }
        };
        // Saves run between two steps.
        self.retain_at = Instant::now() + if more { Duration::from_millis(5) } else { RETENTION_INTERVAL };
    }

    fn remove_before(&self, time: i64) -> rusqlite::Result<usize> {
        let sql = "DELETE FROM document WHERE saved < ? \
                   AND id IN (SELECT id FROM document ORDER BY id LIMIT ?)";
        let removed = self.connection.prepare_cached(sql)?.execute([time, STEP])?;
        if removed > 0 {
            self.connection.pragma(None, "incremental_vacuum", 4 * STEP, |_| Ok(()))?;
        }
        Ok(removed)
    }
}

fn answer(save: Save, result: Result<(), Error>) {
    let Save { id, done, permit, data, .. } = save;
    // Frees the memory before its share of the budget.
    drop(data);
    drop(permit);
    // The caller may have stopped waiting; the document is stored all the same.
    let _ = done.send(result.map(|()| id));
}

/// A duplicate fails this document and those after it in an ordered group; the transaction continues.
fn insert(
    transaction: &Transaction<'_>,
    collections: &mut HashMap<String, i64>,
    save: &Save,
    now: i64,
) -> rusqlite::Result<Result<(), Error>> {
    if save.order.as_ref().is_some_and(SaveGroup::has_failed) {
        return Ok(Err(Error::Closed));
    }
    let collection = match collections.get(&save.collection) {
        Some(&collection) => collection,
        None => {
            let collection = collection_id(transaction, &save.collection)?;
            collections.insert(save.collection.clone(), collection);
            collection
        }
    };
    let sql = "INSERT INTO document (collection, saved, key, data) VALUES (?, ?, ?, ?)";
    let inserted = transaction.prepare_cached(sql)?.execute(params![collection, now, save.key, save.data]);
    match inserted {
        Ok(_) => Ok(Ok(())),
        Err(error) if is_duplicate(&error) => {
            save.order.iter().for_each(SaveGroup::fail);
            let (collection, id) = (save.collection.clone(), crate::json::value_text(&save.id));
            Ok(Err(Error::Duplicate { collection, id }))
        }
        Err(error) => Err(error),
    }
}

fn collection_id(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<i64> {
    let insert = "INSERT INTO collection (name) VALUES (?) ON CONFLICT (name) DO NOTHING";
    transaction.prepare_cached(insert)?.execute([name])?;
    transaction
        .prepare_cached("SELECT id FROM collection WHERE name = ?")?
        .query_row([name], |row| row.get(0))
}

fn is_duplicate(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// A copy of an error, for each of the saves.
fn again(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => {
            rusqlite::Error::SqliteFailure(*code, message.clone())
        }
        other => rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(other.to_string())),
    }
}
