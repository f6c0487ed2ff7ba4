//! Scans a collection in bounded batches.
//!
//! A batch is one short read on a blocking thread. Nothing is held between two batches, neither a thread nor
//! a snapshot, so a slow or vanished reader costs nothing. A scan does not see documents saved after it
//! began.

use crate::{database::Pool, error::Error, filter::Filter};
use bson::{RawDocument, RawDocumentBuf};
use futures::stream::{self, Stream};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// The limits of a batch: documents, their bytes, and the time of its scan.
const BATCH: usize = 2048;
const BATCH_BYTES: usize = 1 << 20;
const BATCH_TIME: Duration = Duration::from_millis(20);
/// How many documents pass between two checks of the time.
const CHECK_EVERY: usize = 64;

/// The limits and order of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FindLimits {
    /// The documents to skip.
    pub skip: u64,
    /// The most documents. `None`: all.
    pub limit: Option<u64>,
    /// Newest first, instead of in the order of saving.
    pub newest_first: bool,
}

/// A scan of one collection.
#[derive(Debug)]
pub(crate) struct Scan {
    pool: Arc<Pool>,
    filter: Arc<Filter>,
    collection: String,
    limits: FindLimits,
    place: Progress,
    found: VecDeque<RawDocumentBuf>,
}

/// The progress of a scan.
#[derive(Debug, Clone, Copy)]
enum Progress {
    Start,
    /// Within a collection, between two row ids, both excluded.
    Between {
        collection: i64,
        low: i64,
        high: i64,
    },
    End,
}

impl Scan {
    pub(crate) fn new(pool: Arc<Pool>, collection: &str, filter: Filter, limits: FindLimits) -> Self {
        Self {
            pool,
            filter: Arc::new(filter),
            collection: collection.to_owned(),
            limits,
            place: Progress::Start,
            found: VecDeque::new(),
        }
    }

    /// The documents as a stream; each batch is read on a blocking thread of the runtime.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<RawDocumentBuf, Error>> + Send + use<> {
        stream::try_unfold(self, |mut scan| async move {
            while scan.found.is_empty() && !scan.is_done() {
                let read = tokio::task::spawn_blocking(move || scan.read().map(|()| scan));
                scan = read.await.map_err(Error::Interrupted)??;
            }
            Ok(scan.found.pop_front().map(|document| (document, scan)))
        })
    }

    fn is_done(&self) -> bool {
        matches!(self.place, Progress::End) || self.limits.limit == Some(0)
    }

    /// Reads a batch.
    fn read(&mut self) -> Result<(), Error> {
        let pool = Arc::clone(&self.pool);
        pool.read(|connection| {
            if matches!(self.place, Progress::Start) {
                self.place = start(connection, &self.collection)?;
            }
            match self.filter.id().map(super::key::encode) {
                Some(key) => self.read_one(connection, &key),
                None => self.read_batch(connection),
            }
        })
    }

    /// Reads the one document with an `_id`, by the index.
    fn read_one(&mut self, connection: &Connection, key: &[u8]) -> rusqlite::Result<()> {
        let Progress::Between { collection, .. } = self.place else { return Ok(()) };
        self.place = Progress::End;
        let sql = "SELECT data FROM document WHERE collection = ? AND key = ?";
        let data = connection
            .prepare_cached(sql)?
            .query_row(params![collection, key], |row| row.get::<_, Vec<u8>>(0))
            .optional()?;
        if let Some(data) = data {
            self.offer(&data);
        }
        Ok(())
    }

    fn read_batch(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let Progress::Between { collection, mut low, mut high } = self.place else { return Ok(()) };
        let sql = match self.limits.newest_first {
            false => "SELECT id, data FROM document WHERE collection = ? AND id > ? AND id < ? ORDER BY id",
            true => {
                "SELECT id, data FROM document WHERE collection = ? AND id > ? AND id < ? ORDER BY id DESC"
            }
        };
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![collection, low, high])?;
        let (begun, mut seen, mut bytes) = (Instant::now(), 0, 0);
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            *(if self.limits.newest_first { &mut high } else { &mut low }) = id;
            bytes += self.offer(row.get_ref(1)?.as_blob()?);
            seen += 1;
            let late = seen % CHECK_EVERY == 0 && begun.elapsed() > BATCH_TIME;
            if self.limits.limit == Some(0) || self.found.len() >= BATCH || bytes >= BATCH_BYTES || late {
                self.place = Progress::Between { collection, low, high };
                return Ok(());
            }
        }
        self.place = Progress::End;
        Ok(())
    }

    /// Takes a document if it matches; returns its size in bytes.
    fn offer(&mut self, data: &[u8]) -> usize {
        let Ok(document) = RawDocument::from_bytes(data) else { return 0 };
        if !self.filter.matches(document) {
            return 0;
        }
        if self.limits.skip > 0 {
            self.limits.skip -= 1;
            return 0;
        }
        if let Some(limit) = &mut self.limits.limit {
            *limit -= 1;
        }
        self.found.push_back(document.to_owned());
        data.len()
    }
}

/// The start of a scan: before the first row, and up to the last present one.
fn start(connection: &Connection, name: &str) -> rusqlite::Result<Progress> {
    let select = "SELECT id, (SELECT coalesce(max(id), 0) FROM document) FROM collection WHERE name = ?";
    let found = connection
        .prepare_cached(select)?
        .query_row([name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    Ok(match found {
        Some((collection, newest)) => {
            Progress::Between { collection, low: 0, high: newest.saturating_add(1) }
        }
        None => Progress::End,
    })
}
