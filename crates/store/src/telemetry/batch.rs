//! The writer's data between two commits: growing chunks, log records, requests.

use super::requests::Requests;
use crate::{
    bytes::Cursor,
    chunk::Builder,
    log::read_record,
    point::{Row, parse_key},
};
use rusqlite::{Connection, Transaction, params};
use std::collections::HashMap;

/// The most series kept between commits; beyond that, all are dropped and start over.
const MAX_SERIES: usize = 4096;
/// The size in bytes after which a batch is written early.
const MAX_BYTES: usize = 2 << 20;

/// The points or the span of time after which a chunk is written once more and then left. A smaller one is
/// written again with the points of the next commit, so that rare points make few chunks.
const DONE_POINTS: usize = 256;
const DONE_SPAN: i64 = 3600 * 1_000_000_000;

/// Points, records and requests that wait for a commit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    series: HashMap<Box<[u8]>, Series>,
    /// Chunks that filled up before the commit.
    full: Vec<(Box<[u8]>, Encoded)>,
    full_bytes: usize,
    logs: Vec<u8>,
    /// The id of the newest log record in the database.
    last_log: i64,
    requests: Requests,
    points_held: u64,
    logs_held: u64,
}

#[derive(Debug, Default)]
struct Series {
    /// Its id, once it is in the database.
    id: Option<i64>,
    chunk: Builder,
    /// The row with the chunk's first points, and their number.
    row: Option<i64>,
    written: usize,
}

impl Series {
    /// The encoded chunk, if it has new points.
    fn encoded(&self) -> Option<Encoded> {
        if self.chunk.len() == self.written {
            return None;
        }
        let (first, last) = self.chunk.span()?;
        Some(Encoded { row: self.row, first, last, points: self.chunk.len(), data: self.chunk.encode() })
    }

    /// Starts another chunk.
    fn begin(&mut self) {
        self.chunk.clear();
        self.row = None;
        self.written = 0;
    }

    /// Records that the chunk was written.
    fn wrote(&mut self, row: i64) {
        let long = self.chunk.span().is_some_and(|(first, last)| last.saturating_sub(first) > DONE_SPAN);
        if long || self.chunk.len() >= DONE_POINTS {
            self.begin();
        } else {
            self.row = Some(row);
            self.written = self.chunk.len();
        }
    }
}

#[derive(Debug)]
struct Encoded {
    /// The row to overwrite.
    row: Option<i64>,
    first: i64,
    last: i64,
    points: usize,
    data: Vec<u8>,
}

/// The size of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BatchSize {
    pub(crate) points: u64,
    pub(crate) logs: u64,
    pub(crate) requests: u64,
}

impl Batch {
    /// An empty batch for a database.
    pub(crate) fn new(connection: &Connection) -> rusqlite::Result<Self> {
        let newest = "SELECT coalesce(max(id), 0) FROM log";
        Ok(Self { last_log: connection.query_row(newest, [], |row| row.get(0))?, ..Self::default() })
    }

    pub(crate) fn add_points(&mut self, rows: &[u8], count: u64) {
        self.points_held += count;
        let mut cursor = Cursor::new(rows);
        while self.add_point(&mut cursor).is_some() {}
        debug_assert!(cursor.is_empty(), "a waiting point is whole");
    }

    fn add_point(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let row = Row::read(cursor)?;
        if !self.series.contains_key(row.key) {
            self.series.insert(row.key.into(), Series::default());
        }
        let series = self.series.get_mut(row.key)?;
        if series.chunk.is_full() {
            if let Some(encoded) = series.encoded() {
                self.full_bytes += encoded.data.len();
                self.full.push((row.key.into(), encoded));
            }
            series.begin();
        }
        let chunk = &mut series.chunk;
        chunk.start(row.time);
        let mut position = 0;
        row.fields(cursor, |name, value| {
            chunk.field(position, name, &value);
            position += 1;
        })
    }

    pub(crate) fn add_logs(&mut self, records: &[u8], count: u64) {
        self.logs_held += count;
        self.logs.extend_from_slice(records);
    }

    pub(crate) fn add_requests(&mut self, requests: &[u8], count: u64) {
        self.requests.add(requests, count);
    }

    /// The number of items to write.
    pub(crate) fn held(&self) -> BatchSize {
        BatchSize { points: self.points_held, logs: self.logs_held, requests: self.requests.held() }
    }

    /// Whether it should be written early.
    pub(crate) fn is_large(&self) -> bool {
        self.full_bytes + self.logs.len() + self.requests.full_bytes() > MAX_BYTES
    }

    /// Writes everything, but keeps it until [`Batch::clear`].
    pub(crate) fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for (key, encoded) in &self.full {
            let series = self.series.get_mut(key).map(|series| &mut series.id);
            write_chunk(transaction, key, series.unwrap_or(&mut None), encoded)?;
        }
        for (key, series) in &mut self.series {
            if let Some(encoded) = series.encoded() {
                let row = write_chunk(transaction, key, &mut series.id, &encoded)?;
                series.wrote(row);
            }
        }
        self.last_log = insert_logs(transaction, &self.logs, self.last_log)?;
        self.requests.write(transaction)
    }

    /// Drops what was written, or could not be. After a failure, nothing from the failed transaction is
    /// trusted.
    pub(crate) fn clear(&mut self, written: bool) {
        self.full.clear();
        self.full_bytes = 0;
        self.logs.clear();
        self.logs.shrink_to(MAX_BYTES);
        (self.points_held, self.logs_held) = (0, 0);
        self.requests.clear(written);
        if !written || self.series.len() > MAX_SERIES {
            self.series.clear();
        }
    }

    /// Forgets the ids of series, after some were deleted from the database.
    pub(crate) fn forget_ids(&mut self) {
        self.series.values_mut().for_each(|series| series.id = None);
    }
}

/// Writes a chunk and returns its row.
fn write_chunk(
    transaction: &Transaction<'_>,
    key: &[u8],
    id: &mut Option<i64>,
    chunk: &Encoded,
) -> rusqlite::Result<i64> {
    let points = i64::try_from(chunk.points).unwrap_or(i64::MAX);
    if let Some(row) = chunk.row {
        let update = "UPDATE chunk SET first = ?, last = ?, points = ?, data = ? WHERE id = ?";
        let values = params![chunk.first, chunk.last, points, chunk.data, row];
        if transaction.prepare_cached(update)?.execute(values)? > 0 {
            return Ok(row);
        }
    }
    let series = match *id {
        Some(series) => series,
        None => *id.insert(series_id(transaction, key)?),
    };
    let insert = "INSERT INTO chunk (series, first, last, points, data) VALUES (?, ?, ?, ?, ?)";
    let values = params![series, chunk.first, chunk.last, points, chunk.data];
    transaction.prepare_cached(insert)?.insert(values)
}

fn series_id(transaction: &Transaction<'_>, key: &[u8]) -> rusqlite::Result<i64> {
    let measurement = parse_key(key).map_or("", |(measurement, _)| measurement);
    let insert = "INSERT INTO series (measurement, key) VALUES (?, ?) ON CONFLICT (key) DO NOTHING";
    transaction.prepare_cached(insert)?.execute(params![measurement, key])?;
    let select = "SELECT id FROM series WHERE key = ?";
    transaction.prepare_cached(select)?.query_row([key], |row| row.get(0))
}

/// Inserts waiting records and returns the id of the last.
fn insert_logs(transaction: &Transaction<'_>, waiting: &[u8], last: i64) -> rusqlite::Result<i64> {
    let insert = "INSERT INTO log (id, time, level, version, workflow, node, request, message) \
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let mut statement = transaction.prepare_cached(insert)?;
    let mut cursor = Cursor::new(waiting);
    let mut id = last;
    while let Some(record) = read_record(&mut cursor) {
        id += 1;
        statement.execute(params![
            id,
            record.time,
            record.level as u8,
            record.version,
            record.workflow,
            record.node,
            record.request,
            record.message,
        ])?;
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        database::{TELEMETRY, open_writer},
        point::{Key, put_row},
    };
    use tempfile::TempDir;

    fn point(batch: &mut Batch, time: i64) {
        let key = Key::new("measured", &[("tag", "value")]).unwrap();
        let mut row = Vec::new();
        put_row(&mut row, key.as_bytes(), time, &[("value", time.into())]);
        batch.add_points(&row, 1);
    }

    fn commit(connection: &mut Connection, batch: &mut Batch) {
        let transaction = connection.transaction().unwrap();
        batch.write(&transaction).unwrap();
        transaction.commit().unwrap();
        batch.clear(true);
    }

    fn chunks(connection: &Connection) -> Vec<(i64, i64, i64)> {
        let mut statement = connection.prepare("SELECT points, first, last FROM chunk ORDER BY id").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn rare_points_share_chunks() {
        let folder = TempDir::new().unwrap();
        let mut connection = open_writer(folder.path(), &TELEMETRY, None).unwrap();
        let mut batch = Batch::new(&connection).unwrap();
        for time in 0..300 {
            point(&mut batch, time);
            commit(&mut connection, &mut batch);
            // A commit without new points writes nothing.
            commit(&mut connection, &mut batch);
        }
        assert_eq!(chunks(&connection), [(256, 0, 255), (44, 256, 299)]);
        point(&mut batch, DONE_SPAN + 1000);
        commit(&mut connection, &mut batch);
        point(&mut batch, DONE_SPAN + 1001);
        commit(&mut connection, &mut batch);
        assert_eq!(
            chunks(&connection)[1..],
            [(45, 256, DONE_SPAN + 1000), (1, DONE_SPAN + 1001, DONE_SPAN + 1001)]
        );
    }

    #[test]
    fn removed_chunks_are_rewritten() {
        let folder = TempDir::new().unwrap();
        let mut connection = open_writer(folder.path(), &TELEMETRY, None).unwrap();
        let mut batch = Batch::new(&connection).unwrap();
        point(&mut batch, 1);
        commit(&mut connection, &mut batch);
        connection.execute_batch("DELETE FROM chunk; DELETE FROM series").unwrap();
        batch.forget_ids();
        point(&mut batch, 2);
        commit(&mut connection, &mut batch);
        assert_eq!(chunks(&connection), [(2, 1, 2)]);
        let joined = "SELECT count(*) FROM chunk JOIN series ON series.id = series";
        assert_eq!(connection.query_row(joined, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn a_failed_commit_leaves_no_trace() {
        let folder = TempDir::new().unwrap();
        let mut connection = open_writer(folder.path(), &TELEMETRY, None).unwrap();
        let mut batch = Batch::new(&connection).unwrap();
        point(&mut batch, 1);
        commit(&mut connection, &mut batch);
        point(&mut batch, 2);
        let transaction = connection.transaction().unwrap();
        batch.write(&transaction).unwrap();
        transaction.rollback().unwrap();
        batch.clear(false);
        point(&mut batch, 3);
        commit(&mut connection, &mut batch);
        assert_eq!(chunks(&connection), [(1, 1, 1), (1, 3, 3)]);
    }

    #[test]
    fn a_flood_of_series_is_forgotten_not_lost() {
        let folder = TempDir::new().unwrap();
        let mut connection = open_writer(folder.path(), &TELEMETRY, None).unwrap();
        let mut batch = Batch::new(&connection).unwrap();
        let count = MAX_SERIES + 10;
        for n in 0..count {
            let key = Key::new("flood", &[("n", &n.to_string())]).unwrap();
            let mut row = Vec::new();
            put_row(&mut row, key.as_bytes(), 0, &[("value", true.into())]);
            batch.add_points(&row, 1);
        }
        commit(&mut connection, &mut batch);
        assert!(batch.series.is_empty());
        assert_eq!(chunks(&connection).len(), count);
    }
}
