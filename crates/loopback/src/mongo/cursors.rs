//! Searches read in batches, possibly on several connections of a client.

use super::error::CommandError;
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::{
    StreamExt as _,
    stream::{BoxStream, Peekable},
};
use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The documents of a search.
pub(super) type DocumentStream = BoxStream<'static, Result<RawDocumentBuf, CommandError>>;

/// The default size of the first batch, in documents.
pub(super) const FIRST_BATCH: u64 = 101;
/// The size after which a batch ends, in bytes of documents.
const BATCH_BYTES: usize = 4 << 20;
/// The most open cursors: each may buffer a megabyte.
const MAX_OPEN: usize = 500;
/// How long an unused cursor is kept, as in MongoDB.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest time for a batch; a client may set less.
const BATCH_TIMEOUT: Duration = Duration::from_secs(300);

/// The cursors of all clients.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    open: Mutex<HashMap<i64, Cursor>>,
}

/// A search in progress.
pub(super) struct Cursor {
    namespace: String,
    found: Peekable<DocumentStream>,
    used: Instant,
}

/// A batch of documents, and the cursor if more follow.
#[derive(Debug)]
struct Batch {
    documents: Vec<Document>,
    more: bool,
}

/// The limits of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    /// The most documents.
    pub(super) count: u64,
    /// Whether the client wants this batch only.
    pub(super) single: bool,
    /// The longest time for it.
    pub(super) time: Option<Duration>,
}

impl Cursor {
    pub(super) fn new(namespace: String, found: DocumentStream) -> Self {
        Self { namespace, found: found.peekable(), used: Instant::now() }
    }

    async fn batch(&mut self, wanted: BatchLimits) -> Result<Batch, CommandError> {
        let time = wanted.time.unwrap_or(BATCH_TIMEOUT).min(BATCH_TIMEOUT);
        let batch = tokio::time::timeout(time, self.read(wanted)).await;
        batch.map_err(|_| CommandError::Time)?
    }

    async fn read(&mut self, wanted: BatchLimits) -> Result<Batch, CommandError> {
        let (mut documents, mut bytes) = (Vec::new(), 0);
        while (documents.len() as u64) < wanted.count && bytes < BATCH_BYTES {
            let Some(found) = self.found.next().await else { return Ok(Batch { documents, more: false }) };
            let found = found?;
            bytes += found.as_bytes().len();
            documents.push(decode(&found)?);
        }
        // A client that gets everything in one batch need not send `getMore`.
        let more = !wanted.single && Pin::new(&mut self.found).peek().await.is_some();
        Ok(Batch { documents, more })
    }
}

impl Cursors {
    /// The first batch of a search, as a reply.
    pub(super) async fn first_batch(
        &self,
        mut cursor: Cursor,
        wanted: BatchLimits,
    ) -> Result<Document, CommandError> {
        let batch = cursor.batch(wanted).await?;
        let namespace = cursor.namespace.clone();
        let id = if batch.more { self.insert(cursor)? } else { 0 };
        Ok(reply(id, &namespace, "firstBatch", batch.documents))
    }

    /// The next batch of a search, as a reply.
    pub(super) async fn next_batch(
        &self,
        id: i64,
        namespace: &str,
        wanted: BatchLimits,
    ) -> Result<Document, CommandError> {
        let mut cursor = self.take(id, namespace).ok_or(CommandError::Cursor { id })?;
        let batch = cursor.batch(wanted).await?;
        let next = if batch.more { id } else { 0 };
        if batch.more {
            cursor.used = Instant::now();
            self.lock().insert(id, cursor);
        }
        Ok(reply(next, namespace, "nextBatch", batch.documents))
    }

    /// Closes a cursor; returns `false` if it does not exist.
    pub(super) fn close(&self, id: i64, namespace: &str) -> bool {
        self.take(id, namespace).is_some()
    }

    fn insert(&self, cursor: Cursor) -> Result<i64, CommandError> {
        let mut open = self.lock();
        open.retain(|_, cursor| cursor.used.elapsed() < IDLE_TIMEOUT);
        if open.len() >= MAX_OPEN {
            return Err(CommandError::Cursors { open: open.len() });
        }
        let id = loop {
            let id = fastrand::i64(1..);
            if !open.contains_key(&id) {
                break id;
            }
        };
        open.insert(id, cursor);
        Ok(id)
    }

    fn take(&self, id: i64, namespace: &str) -> Option<Cursor> {
        let mut open = self.lock();
        let known = open.get(&id).is_some_and(|cursor| cursor.namespace == namespace);
        if known { open.remove(&id) } else { None }
    }

    /// Ignores poisoning: the map is consistent between calls.
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Cursor>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// A reply with documents; `id` is 0 when no more follow.
pub(super) fn reply(id: i64, namespace: &str, batch: &str, documents: Vec<Document>) -> Document {
    let documents: Vec<_> = documents.into_iter().map(Bson::Document).collect();
    doc! { "cursor": { "id": id, "ns": namespace, batch: documents }, "ok": 1.0 }
}

/// Decodes a stored document, which was validated when it was saved.
pub(super) fn decode(found: &RawDocumentBuf) -> Result<Document, CommandError> {
    Document::try_from(found.as_ref()).map_err(|error| CommandError::BadValue(error.to_string()))
}
