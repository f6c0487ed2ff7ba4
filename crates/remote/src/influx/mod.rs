//! Measurements in InfluxDB.
//!
//! - [`mod@line`]: points as line protocol.
//! - [`target`]: the requests for an address.
//! - [`client`]: posts lines and interprets the answers.
//! - [`spool`]: lines that wait on disk.
//! - [`sender`]: the task that sends batches to the server, or to the disk.
//!
//! The store's own buffer hands over points once a second ([`krt_store::Sink`]), so measuring costs the same
//! with any target. Callers never wait for the server: points that find every buffer full are dropped,
//! counted and reported.

mod client;
mod line;
mod sender;
mod spool;
mod target;

use crate::{Address, Error};
use client::Client;
use krt_store::{Point, Sink};
use sender::Sender;
use spool::Spool;
use std::{
    mem,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use target::Target;
use tokio::{sync::mpsc, task::JoinHandle};

/// The default limit of lines on disk while the server is unavailable, in bytes.
pub const SPOOL_LIMIT: u64 = 64 << 20;
/// The size after which a batch is sent, in bytes.
const BATCH_BYTES: usize = 512 << 10;
/// The most batches that wait in memory.
const MAX_QUEUED: usize = 32;

/// Lines that are sent together.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<u8>,
    points: u64,
}

/// Counts of points, and whether the server takes them.
#[derive(Debug, Default)]
struct Counters {
    written: AtomicU64,
    dropped: AtomicU64,
    /// The number of points on disk.
    waiting: AtomicU64,
    /// Why the server takes no points.
    away: Mutex<Option<String>>,
}

/// What became of the points for InfluxDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfluxState {
    /// The number of points in InfluxDB.
    pub written: u64,
    /// The number of points that wait on disk.
    pub waiting: u64,
    /// The number of dropped points: refused, or without room.
    pub dropped: u64,
    /// Why the server takes no points, if it did not take the last ones.
    pub away: Option<String>,
}

/// Tells where the points go, and what became of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct InfluxWatch {
    address: Address,
    counters: Arc<Counters>,
}

impl InfluxWatch {
    /// The server's address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether the points go to a database, which `krt` makes and deletes, rather than to a bucket, which its users
    /// make and delete.
    pub fn has_database(&self) -> bool {
        Target::parse(&self.address, "runtime").is_ok_and(|target| target.delete.is_some())
    }

    /// What became of the points so far.
    pub fn state(&self) -> InfluxState {
        let Counters { written, dropped, waiting, away } = &*self.counters;
        InfluxState {
            written: written.load(Relaxed),
            waiting: waiting.load(Relaxed),
            dropped: dropped.load(Relaxed),
            away: away.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Fails where an address is not one of InfluxDB. Connects to nothing.
pub(crate) fn check(address: &Address) -> Result<(), Error> {
    Target::parse(address, "runtime").map(drop)
}

/// Deletes the database of a runtime. A bucket stays: who has made it deletes it.
pub(crate) async fn delete(address: &Address, runtime: &str) -> Result<(), Error> {
    let client = Client::new(Target::parse(address, runtime)?).map_err(Error::Certificates)?;
    let deleted = client.delete().await;
    deleted.map_err(|failure| Error::Influx { address: address.clone(), reason: failure.into_reason() })
}

/// The task that writes to InfluxDB.
#[derive(Debug)]
pub struct Influx {
    address: Address,
    task: JoinHandle<()>,
    counters: Arc<Counters>,
}

/// Takes points from a store.
#[derive(Debug)]
struct Gatherer {
    batch: Batch,
    queue: mpsc::Sender<Batch>,
    counters: Arc<Counters>,
}

impl Influx {
    /// Starts writing to the database (or bucket) of a runtime. Points wait in `folder`, in at most `limit`
    /// bytes, while the server is unavailable; the folder is created if needed.
    ///
    /// Pass the sink to [`krt_store::Store::open_with_sink`].
    pub fn start(
        address: &Address,
        runtime: &str,
        folder: &Path,
        limit: u64,
    ) -> Result<(Self, Box<dyn Sink>), Error> {
        let failed = |source| Error::Spool { path: folder.to_owned(), source };
        let client = Client::new(Target::parse(address, runtime)?).map_err(Error::Certificates)?;
        let spool = Spool::open(folder, limit).map_err(failed)?;
        let counters = Arc::new(Counters::default());
        let (queue, batches) = mpsc::channel(MAX_QUEUED);
        let sender = Sender::new(client, spool, address.clone(), Arc::clone(&counters));
        let task = tokio::spawn(sender.run(batches));
        let sink = Gatherer { batch: Batch::default(), queue, counters: Arc::clone(&counters) };
        Ok((Self { address: address.clone(), task, counters }, Box::new(sink)))
    }

    /// The number of points in InfluxDB.
    pub fn written(&self) -> u64 {
        self.counters.written.load(Relaxed)
    }

    /// The number of dropped points: refused, or without room.
    pub fn dropped(&self) -> u64 {
        self.counters.dropped.load(Relaxed)
    }

    /// Tells what became of the points, also after the end.
    pub fn watch(&self) -> InfluxWatch {
        InfluxWatch { address: self.address.clone(), counters: Arc::clone(&self.counters) }
    }

    /// Waits until everything is sent or on disk. Close the store that uses the sink first.
    pub async fn close(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the writer to InfluxDB ended too early");
        }
    }
}

impl Sink for Gatherer {
    fn take(&mut self, point: &Point<'_>) {
        line::put(&mut self.batch.lines, point);
        self.batch.points += 1;
        if self.batch.lines.len() >= BATCH_BYTES {
            self.send();
        }
    }

    fn send(&mut self) {
        let batch = mem::take(&mut self.batch);
        if batch.points > 0
            && let Err(error) = self.queue.try_send(batch)
        {
            self.counters.dropped.fetch_add(error.into_inner().points, Relaxed);
        }
    }
}
