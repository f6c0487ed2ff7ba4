//! Requests that wait for a commit, in growing chunks.

use crate::request::{Head, bit, requests};
use krt_model::request::Ending;
use rusqlite::{Transaction, params};
use std::{cmp::Reverse, collections::BinaryHeap, mem};

/// The size of a full chunk, in bytes.
const FULL_BYTES: usize = 64 << 10;
/// The size in bytes after which, or after more than an hour, a chunk is written once more and then left. A
/// smaller one is written again with the requests of the next commit, so that rare requests make few chunks.
const DONE_BYTES: usize = 8 << 10;
/// How many of an hour's slowest requests are notable.
const SLOWEST: usize = 200;
const HOUR: i64 = 3600 * 1_000_000_000;

/// Requests that wait for a commit.
#[derive(Debug, Default)]
pub(super) struct Requests {
    ordinary: Kind,
    notable: Kind,
    slowest: Slowest,
    held: u64,
}

/// Notable requests, or the others.
#[derive(Debug, Default)]
struct Kind {
    growing: Chunk,
    full: Vec<Chunk>,
}

/// A sequence of requests.
#[derive(Debug, Default)]
struct Chunk {
    /// The row with the first requests, and their size in bytes.
    row: Option<i64>,
    written: usize,
    first: i64,
    last: i64,
    slowest: i64,
    endings: i64,
    requests: i64,
    data: Vec<u8>,
}

/// The durations of the slowest requests of an hour, in nanoseconds.
#[derive(Debug, Default)]
struct Slowest {
    since: i64,
    took: BinaryHeap<Reverse<u64>>,
}

impl Slowest {
    /// Whether a request is one of the slowest so far.
    fn has(&mut self, start: i64, took: u64) -> bool {
        // The clock may also be set back.
        if start.abs_diff(self.since) >= HOUR.unsigned_abs() {
            (self.since, self.took) = (start, BinaryHeap::new());
        }
        if self.took.len() >= SLOWEST {
            if self.took.peek().is_some_and(|Reverse(quickest)| took <= *quickest) {
                return false;
            }
            self.took.pop();
        }
        self.took.push(Reverse(took));
        true
    }
}

impl Requests {
    pub(super) fn add(&mut self, waiting: &[u8], count: u64) {
        self.held += count;
        for (head, request) in requests(waiting) {
            let slow = self.slowest.has(head.start, head.elapsed);
            if slow || head.ending == Ending::Failed {
                self.notable.add(&head, request);
            } else {
                self.ordinary.add(&head, request);
            }
        }
    }

    /// Their number.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// The size of the full chunks, in bytes.
    pub(super) fn full_bytes(&self) -> usize {
        self.ordinary.full.iter().chain(&self.notable.full).map(|chunk| chunk.data.len()).sum()
    }

    /// Writes all of them.
    pub(super) fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        self.ordinary.write(transaction, false)?;
        self.notable.write(transaction, true)
    }

    /// Drops what was written, or could not be.
    pub(super) fn clear(&mut self, written: bool) {
        self.held = 0;
        self.ordinary.clear(written);
        self.notable.clear(written);
    }
}

impl Kind {
    fn add(&mut self, head: &Head<'_>, request: &[u8]) {
        if self.growing.data.len() + request.len() > FULL_BYTES {
            self.full.push(mem::take(&mut self.growing));
        }
        self.growing.add(head, request);
    }

    fn write(&mut self, transaction: &Transaction<'_>, notable: bool) -> rusqlite::Result<()> {
        for chunk in self.full.iter_mut().chain([&mut self.growing]) {
            chunk.write(transaction, notable)?;
        }
        Ok(())
    }

    fn clear(&mut self, written: bool) {
        self.full.clear();
        let long = self.growing.last.saturating_sub(self.growing.first) > HOUR;
        if !written || long || self.growing.data.len() >= DONE_BYTES {
            self.growing = Chunk::default();
        }
    }
}

impl Chunk {
    fn add(&mut self, head: &Head<'_>, request: &[u8]) {
        if self.data.is_empty() {
            (self.first, self.last) = (head.start, head.start);
        }
        self.first = self.first.min(head.start);
        self.last = self.last.max(head.start);
        self.slowest = self.slowest.max(i64::try_from(head.elapsed).unwrap_or(i64::MAX));
        self.endings |= bit(head.ending);
        self.requests += 1;
        self.data.extend_from_slice(request);
    }

    fn write(&mut self, transaction: &Transaction<'_>, notable: bool) -> rusqlite::Result<()> {
        if self.data.len() > self.written {
            self.row = Some(match self.row {
                Some(row) if self.update(transaction, row)? => row,
                _ => self.insert(transaction, notable)?,
            });
            self.written = self.data.len();
        }
        Ok(())
    }

    /// Returns whether the row still existed.
    fn update(&self, transaction: &Transaction<'_>, row: i64) -> rusqlite::Result<bool> {
        let Self { first, last, slowest, endings, requests, data, .. } = self;
        let sql = "UPDATE request SET first = ?, last = ?, slowest = ?, endings = ?, requests = ?, data = ? \
                   WHERE id = ?";
        let values = params![first, last, slowest, endings, requests, data, row];
        Ok(transaction.prepare_cached(sql)?.execute(values)? > 0)
    }

    fn insert(&self, transaction: &Transaction<'_>, notable: bool) -> rusqlite::Result<i64> {
        let Self { first, last, slowest, endings, requests, data, .. } = self;
        let sql = "INSERT INTO request (notable, first, last, slowest, endings, requests, data) \
                   VALUES (?, ?, ?, ?, ?, ?, ?)";
        let values = params![notable, first, last, slowest, endings, requests, data];
        transaction.prepare_cached(sql)?.insert(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        database::{TELEMETRY, open_writer},
        request::put_request,
    };
    use krt_model::{name::Name, request::RequestRecord};
    use rusqlite::Connection;
    use tempfile::TempDir;

    fn add(requests: &mut Requests, start: i64, elapsed: u64, ending: Ending) {
        let mut waiting = Vec::new();
        let name = || Name::parse("v1").unwrap();
        let record = RequestRecord::new("".into(), name(), name(), start);
        put_request(&mut waiting, &RequestRecord { elapsed, ending, ..record });
        requests.add(&waiting, 1);
    }

    fn commit(connection: &mut Connection, requests: &mut Requests) {
        let transaction = connection.transaction().unwrap();
        requests.write(&transaction).unwrap();
        transaction.commit().unwrap();
        requests.clear(true);
    }

    /// Whether notable, the number of requests, the first and last time, the longest duration.
    fn rows(connection: &Connection) -> Vec<(bool, i64, i64, i64, i64)> {
        let sql = "SELECT notable, requests, first, last, slowest FROM request ORDER BY id";
        let mut statement = connection.prepare(sql).unwrap();
        let row =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn rare_requests_share_rows_and_notable_ones_do_not() {
        let folder = TempDir::new().unwrap();
        let mut connection = open_writer(folder.path(), &TELEMETRY, None).unwrap();
        let mut requests = Requests::default();
        let slowest = i64::try_from(SLOWEST).unwrap();
        for start in 0..slowest + 50 {
            let ending = if start == slowest + 20 { Ending::Failed } else { Ending::Answered };
            add(&mut requests, start, 1000 - start.cast_unsigned(), ending);
            commit(&mut connection, &mut requests);
            // A commit without new requests writes nothing.
            commit(&mut connection, &mut requests);
        }
        let (notable, ordinary): (Vec<_>, Vec<_>) = rows(&connection).into_iter().partition(|row| row.0);
        assert_eq!(notable.iter().map(|row| row.1).sum::<i64>(), slowest + 1);
        assert_eq!(notable[0].4, 1000);
        assert_eq!(notable.last().unwrap().3, slowest + 20);
        assert_eq!(ordinary, [(false, 49, slowest, slowest + 49, 1000 - slowest)]);
        // Each hour has its own slowest requests, and requests that arrive hours apart do not share a row.
        for start in [2 * HOUR, 2 * HOUR + 1] {
            add(&mut requests, start, 1, Ending::Answered);
            commit(&mut connection, &mut requests);
        }
        let later: Vec<_> = rows(&connection).into_iter().filter(|row| row.3 >= 2 * HOUR).collect();
        assert_eq!(
            later.iter().map(|row| (row.0, row.3)).collect::<Vec<_>>(),
            [(true, 2 * HOUR), (true, 2 * HOUR + 1)]
        );
    }

    #[test]
    fn missing_rows_are_rewritten_and_failed_commits_undone() {
        let folder = TempDir::new().unwrap();
        let mut connection = open_writer(folder.path(), &TELEMETRY, None).unwrap();
        let mut requests = Requests::default();
        add(&mut requests, 1, 1, Ending::Failed);
        commit(&mut connection, &mut requests);
        connection.execute_batch("DELETE FROM request").unwrap();
        add(&mut requests, 2, 1, Ending::Failed);
        commit(&mut connection, &mut requests);
        assert_eq!(rows(&connection), [(true, 2, 1, 2, 1)]);

        add(&mut requests, 3, 1, Ending::Failed);
        let transaction = connection.transaction().unwrap();
        requests.write(&transaction).unwrap();
        transaction.rollback().unwrap();
        requests.clear(false);
        add(&mut requests, 4, 1, Ending::Failed);
        commit(&mut connection, &mut requests);
        assert_eq!(rows(&connection), [(true, 2, 1, 2, 1), (true, 1, 4, 4, 1)]);
    }

    #[test]
    fn many_requests_are_written_in_chunks() {
        let folder = TempDir::new().unwrap();
        let mut connection = open_writer(folder.path(), &TELEMETRY, None).unwrap();
        let mut requests = Requests::default();
        (0..10_000).for_each(|start| add(&mut requests, start, 0, Ending::Answered));
        assert!(requests.full_bytes() > FULL_BYTES);
        commit(&mut connection, &mut requests);
        let rows = rows(&connection);
        assert_eq!(rows.iter().map(|row| row.1).sum::<i64>(), 10_000);
        assert!(rows.len() > 3 && rows.len() < 12, "{} rows", rows.len());
        assert_eq!(requests.held(), 0);
    }
}
