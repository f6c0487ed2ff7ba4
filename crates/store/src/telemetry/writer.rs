//! The thread that writes measurements, logs and requests.
//!
//! It commits everything that waits once per interval. Data that cannot be written is dropped and counted,
//! never retried: new data matters more, and the next commit succeeds as soon as the disk allows.

use super::{
    Sink, Telemetry,
    batch::{Batch, BatchSize},
    notifier::WakeReasons,
    retention::{PAUSE, Retainer, Step},
};
use crate::{
    database::{self, TELEMETRY},
    error::Error,
    options::Options,
    point::read_points,
};
use krt_model::hint;
use rusqlite::{Connection, TransactionBehavior};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The minimum time between two reports of dropped data.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Owns the database of measurements, logs and requests.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Telemetry>,
    connection: Connection,
    folder: PathBuf,
    path: PathBuf,
    file_limit: Option<u64>,
    interval: Duration,
    batch: Batch,
    /// Takes the points, where they do not go to the database.
    sink: Option<Box<dyn Sink>>,
    /// When waiting data is written.
    flush_at: Option<Instant>,
    retainer: Retainer,
    retain_at: Instant,
    /// The drops last reported, and when.
    reported: (BatchSize, Option<Instant>),
    failure: Option<Error>,
    spare: Vec<u8>,
}

/// Marks the store as closed for callers, however the writer ends.
struct Closing(Arc<Telemetry>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.closed.store(true, Relaxed);
        self.0.notifier.end();
    }
}

impl Writer {
    /// Opens the database. A damaged one is moved aside and replaced: a service without its older
    /// measurements and logs is better than none.
    pub(crate) fn open(
        folder: &Path,
        options: &Options,
        sink: Option<Box<dyn Sink>>,
        shared: Arc<Telemetry>,
    ) -> Result<Self, Error> {
        let path = TELEMETRY.path(folder);
        let (connection, batch) = match load(folder, options.file_limit) {
            Err(Error::Damaged { .. }) => replace(&path, folder, options.file_limit)?,
            loaded => loaded?,
        };
        Ok(Self {
            shared,
            connection,
            folder: folder.to_owned(),
            file_limit: options.file_limit,
            path,
            interval: options.flush_interval,
            batch,
            sink,
            flush_at: None,
            retainer: Retainer::new(options.retention),
            retain_at: Instant::now(),
            reported: (BatchSize::default(), None),
            failure: None,
            spare: Vec::new(),
        })
    }

    /// Writes until the store is closed, then writes the rest.
    pub(crate) fn run(mut self) {
        let closing = Closing(Arc::clone(&self.shared));
        loop {
            let calls =
                self.shared.notifier.wait(self.flush_at.unwrap_or(self.retain_at).min(self.retain_at));
            if calls.close {
                // Callers see this before the last round, so that nothing follows it.
                self.shared.closed.store(true, Relaxed);
            }
            self.round(&calls);
            let close = calls.close;
            self.report(close);
            calls.flushes.into_iter().for_each(|done| _ = done.send(()));
            if close {
                break;
            }
        }
        drop(closing);
        self.checkpoint();
    }

    fn round(&mut self, calls: &WakeReasons) {
        let now = Instant::now();
        let due = self.flush_at.is_some_and(|at| at <= now);
        let asked = calls.close || !calls.flushes.is_empty();
        if due || asked || calls.urgent {
            self.take_buffered();
        }
        if due || asked || self.batch.is_large() {
            self.write();
            self.flush_at = None;
        }
        if calls.first || calls.urgent {
            self.flush_at.get_or_insert(now + self.interval);
        }
        if self.retain_at <= now && !asked {
            self.retain();
        }
    }

    fn take_buffered(&mut self) {
        let Self { shared, batch, sink, spare, .. } = self;
        match sink {
            None => shared.points.drain(spare, |rows, count| batch.add_points(rows, count)),
            Some(sink) => {
                shared.points.drain(spare, |rows, count| {
                    read_points(rows, |point| sink.take(point));
                    shared.points_written.fetch_add(count, Relaxed);
                });
                sink.send();
            }
        }
        shared.logs.drain(spare, |records, count| batch.add_logs(records, count));
        shared.requests.drain(spare, |requests, count| batch.add_requests(requests, count));
    }

    fn write(&mut self) {
        let held = self.batch.held();
        if held == BatchSize::default() {
            return;
        }
        let written = database::check_room(&self.path)
            .and_then(|()| self.commit().map_err(|source| database::failure(&self.path, source)));
        self.batch.clear(written.is_ok());
        match written {
            Ok(()) => {
                self.shared.points_written.fetch_add(held.points, Relaxed);
                self.shared.logs_written.fetch_add(held.logs, Relaxed);
                self.shared.requests_written.fetch_add(held.requests, Relaxed);
            }
            Err(failure) => {
                self.shared.points.drop_counted(held.points);
                self.shared.logs.drop_counted(held.logs);
                self.shared.requests.drop_counted(held.requests);
                self.fail(failure);
            }
        }
    }

    /// Handles a failure; replaces a database that turns out to be damaged.
    fn fail(&mut self, failure: Error) {
        if matches!(failure, Error::Damaged { .. }) {
            match replace(&self.path, &self.folder, self.file_limit) {
                Ok((connection, batch)) => (self.connection, self.batch) = (connection, batch),
                Err(error) => {
                    tracing::error!(error = hint::chain(&error), "a damaged database could not be replaced");
                }
            }
        }
        self.failure = Some(failure);
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.batch.write(&transaction)?;
        transaction.commit()
    }

    fn retain(&mut self) {
        let step = self.retainer.step(&mut self.connection);
        let wait = match step {
            Ok(Step { removed_series, wait }) => {
                if removed_series {
                    self.batch.forget_ids();
                }
                wait
            }
            Err(source) => {
                self.fail(database::failure(&self.path, source));
                PAUSE
            }
        };
        self.retain_at = Instant::now() + wait;
    }

    /// Reports drops since the last report; every few seconds at most, except for the `last` time.
    fn report(&mut self, last: bool) {
        let (before, at) = self.reported;
        let Telemetry { points, logs, requests, .. } = &*self.shared;
        let dropped =
            BatchSize { points: points.dropped(), logs: logs.dropped(), requests: requests.dropped() };
        if dropped == before && self.failure.is_none() {
            return;
        }
        if !last && at.is_some_and(|at| at.elapsed() < REPORT_INTERVAL) {
            return;
        }
        let (points, logs) = (dropped.points - before.points, dropped.logs - before.logs);
        let requests = dropped.requests - before.requests;
        match self.failure.take() {
            Some(error) => {
                let error = hint::chain(&error);
                tracing::warn!(
                    points,
                    logs,
                    requests,
                    error,
                    "measurements, logs and requests could not be written"
                );
            }
            None => tracing::warn!(
                points,
                logs,
                requests,
                "measurements, logs and requests were dropped: the buffer was full"
            ),
        }
        self.reported = (dropped, Some(Instant::now()));
    }

    /// Leaves a single file without a WAL to replay.
    fn checkpoint(&self) {
        let truncated = self.connection.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
        if let Err(error) = truncated {
            tracing::debug!(%error, "the telemetry's log was left to the next start");
        }
    }
}

/// Opens the database, with a batch for it.
fn load(folder: &Path, limit: Option<u64>) -> Result<(Connection, Batch), Error> {
    let connection = database::open_writer(folder, &TELEMETRY, limit)?;
    let batch =
        Batch::new(&connection).map_err(|source| database::failure(&TELEMETRY.path(folder), source))?;
    Ok((connection, batch))
}

/// Moves a damaged database aside and creates a new one.
fn replace(path: &Path, folder: &Path, limit: Option<u64>) -> Result<(Connection, Batch), Error> {
    let aside = database::set_aside(path)?;
    tracing::warn!(
        "`{}` is damaged and was moved to `{}`: measurements, logs and requests start from empty; documents are not \
         affected",
        path.display(),
        aside.display()
    );
    load(folder, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tempfile::TempDir;
    use tracing::{Event, Metadata, span};

    /// Counts reports.
    struct Counter(Arc<AtomicUsize>);

    impl tracing::Subscriber for Counter {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.is_event()
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Relaxed);
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn drops_are_reported_periodically_and_at_the_end() {
        let folder = TempDir::new().unwrap();
        let shared = Arc::new(Telemetry::new(1 << 20));
        let mut writer = Writer::open(folder.path(), &Options::default(), None, Arc::clone(&shared)).unwrap();
        let reports = Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(Counter(Arc::clone(&reports)), || {
            let mut said_after = |dropped, last| {
                shared.logs.drop_counted(dropped);
                writer.report(last);
                reports.load(Relaxed)
            };
            assert_eq!(said_after(0, false), 0);
            assert_eq!(said_after(3, false), 1);
            assert_eq!(said_after(3, false), 1, "too soon");
            assert_eq!(said_after(0, true), 2, "the last chance");
            assert_eq!(said_after(0, true), 2, "nothing new");
        });
    }
}
