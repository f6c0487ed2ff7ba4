//! Deletes measurements, logs and requests beyond age or size, in small steps between commits.

use crate::{clock, options::Retention};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::time::Duration;

/// The pause once nothing is left to do.
pub(super) const PAUSE: Duration = Duration::from_secs(10);
/// The pause between two steps of one cleaning: commits have priority.
const STEP_PAUSE: Duration = Duration::from_millis(20);
/// The most items deleted in one step: some milliseconds of work.
const CHUNKS_PER_STEP: i64 = 100;
const LOGS_PER_STEP: i64 = 2000;
const REQUESTS_PER_STEP: i64 = 100;
/// How many pages a step returns to the disk.
const PAGES_PER_STEP: i64 = 512;
/// How far below the limit cleaning continues, in 64ths of it, so that it does not start again at once.
const SLACK: u64 = 2;

/// Keeps the database within its limits.
#[derive(Debug)]
pub(super) struct Retainer {
    limits: Retention,
    /// Whether the size was over its limit, and is not yet far enough below it.
    shrinking: bool,
}

/// The result of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Whether series without points were deleted.
    pub(super) removed_series: bool,
    /// The wait until the next step.
    pub(super) wait: Duration,
}

impl Retainer {
    pub(super) fn new(limits: Retention) -> Self {
        Self { limits, shrinking: false }
    }

    pub(super) fn step(&mut self, connection: &mut Connection) -> rusqlite::Result<Step> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut removed = match self.limits.age {
            Some(age) => remove_before(&transaction, clock::now().saturating_sub(clock::nanos(age)))?,
            None => 0,
        };
        if removed == 0 && self.is_too_large(&transaction)? {
            removed = remove_oldest(&transaction)?;
        }
        if removed == 0 {
            removed = trim_requests(&transaction, self.limits.requests)?;
        }
        let removed_series = removed > 0 && remove_empty_series(&transaction)? > 0;
        transaction.commit()?;
        let freed = release_pages(connection)?;
        Ok(Step { removed_series, wait: if removed > 0 || freed { STEP_PAUSE } else { PAUSE } })
    }

    fn is_too_large(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let Some(limit) = self.limits.size else { return Ok(false) };
        let size = used_bytes(connection)?;
        let low = limit - limit / 64 * SLACK;
        self.shrinking = size > limit || self.shrinking && size > low;
        Ok(self.shrinking)
    }
}

/// The bytes that hold data.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let used = (number("page_count")? - number("freelist_count")?) * number("page_size")?;
    Ok(used.max(0).cast_unsigned())
}

/// Deletes some items from before a time.
fn remove_before(transaction: &Transaction<'_>, time: i64) -> rusqlite::Result<usize> {
    Ok(remove_chunks(transaction, time)?
        + remove_logs(transaction, time)?
        + remove_requests(transaction, time)?)
}

fn remove_requests(transaction: &Transaction<'_>, time: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM request WHERE id IN (SELECT id FROM request WHERE last < ? ORDER BY last LIMIT ?)";
    transaction.prepare_cached(sql)?.execute([time, REQUESTS_PER_STEP])
}

/// Keeps the newest requests, up to a size: half of it for notable ones.
fn trim_requests(transaction: &Transaction<'_>, size: u64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM request WHERE id IN (SELECT id FROM ( \
                   SELECT id, sum(length(data)) OVER (PARTITION BY notable ORDER BY id DESC) AS size FROM request \
               ) WHERE size > ? LIMIT ?)";
    let half = i64::try_from(size / 2).unwrap_or(i64::MAX);
    transaction.prepare_cached(sql)?.execute([half, REQUESTS_PER_STEP])
}

fn remove_chunks(transaction: &Transaction<'_>, time: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM chunk WHERE id IN (SELECT id FROM chunk WHERE last < ? ORDER BY last LIMIT ?)";
    transaction.prepare_cached(sql)?.execute([time, CHUNKS_PER_STEP])
}

/// Keeps the newest record, because later ids continue from it.
fn remove_logs(transaction: &Transaction<'_>, time: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM log WHERE id < (SELECT max(id) FROM log) \
               AND id IN (SELECT id FROM log WHERE time < ? ORDER BY time LIMIT ?)";
    transaction.prepare_cached(sql)?.execute([time, LOGS_PER_STEP])
}

/// Deletes some of the oldest points, records and requests, all up to the same time.
fn remove_oldest(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let nth = |sql: &str, skip: i64| {
        transaction.prepare_cached(sql)?.query_row([skip], |row| row.get::<_, i64>(0)).optional()
    };
    let chunks = "SELECT last FROM chunk ORDER BY last LIMIT 1 OFFSET ?";
    let logs = "SELECT time FROM log ORDER BY time LIMIT 1 OFFSET ?";
    let requests = "SELECT last FROM request ORDER BY last LIMIT 1 OFFSET ?";
    let ends = [nth(chunks, CHUNKS_PER_STEP)?, nth(logs, LOGS_PER_STEP)?, nth(requests, REQUESTS_PER_STEP)?];
    // Where one kind has less than a step's worth left, the others set the pace.
    let end = ends.into_iter().flatten().min();
    match end {
        Some(end) => remove_before(transaction, end.saturating_add(1)),
        None => remove_before(transaction, i64::MAX),
    }
}

fn remove_empty_series(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.series = series.id)";
    transaction.prepare_cached(sql)?.execute([])
}

/// Returns some free pages to the disk, and whether more are left.
fn release_pages(connection: &Connection) -> rusqlite::Result<bool> {
    let free = || connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
    if free()? < PAGES_PER_STEP {
        return Ok(false);
    }
    // Each returned row is a page.
    connection.pragma(None, "incremental_vacuum", PAGES_PER_STEP, |_| Ok(()))?;
    Ok(free()? >= PAGES_PER_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        database::{TELEMETRY, open_writer},
        log::{LogRecord, put_record},
        point::{Key, put_row},
        telemetry::batch::Batch,
    };
    use krt_model::log::Level;
    use tempfile::TempDir;

    const HOUR: i64 = 3600 * 1_000_000_000;

    struct Fixture {
        _folder: TempDir,
        connection: Connection,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let connection = open_writer(folder.path(), &TELEMETRY, None).unwrap();
            Self { _folder: folder, connection }
        }

        /// Writes points of a series, and log records, of one time.
        fn write(&mut self, time: i64, series: &str, points: usize, logs: usize) {
            let mut batch = Batch::new(&self.connection).unwrap();
            let key = Key::new(series, &[]).unwrap();
            let mut rows = Vec::new();
            for n in 0..points {
                let text = format!("{n} {}", "x".repeat(50));
                put_row(&mut rows, key.as_bytes(), time, &[("text", text.as_str().into())]);
            }
            batch.add_points(&rows, points as u64);
            let mut records = Vec::new();
            for _ in 0..logs {
                let message = "y".repeat(100);
                let record = LogRecord {
                    time,
                    level: Level::Info,
                    version: "v1",
                    workflow: None,
                    node: None,
                    request: None,
                    message: &message,
                };
                put_record(&mut records, &record);
            }
            batch.add_logs(&records, logs as u64);
            let transaction = self.connection.transaction().unwrap();
            batch.write(&transaction).unwrap();
            transaction.commit().unwrap();
        }

        /// Cleans until nothing is left to do; returns the number of steps that deleted something.
        fn clean(&mut self, limits: Retention) -> usize {
            let mut retainer = Retainer::new(limits);
            (0..).take_while(|_| retainer.step(&mut self.connection).unwrap().wait != PAUSE).count()
        }

        fn number(&self, sql: &str) -> i64 {
            self.connection.query_row(sql, [], |row| row.get(0)).unwrap()
        }

        fn pages(&self) -> i64 {
            self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
        }
    }

    #[test]
    fn old_data_is_deleted() {
        let mut fixture = Fixture::new();
        let now = clock::now();
        fixture.write(now - 3 * HOUR, "old", 5000, 5000);
        fixture.write(now - HOUR, "young", 10, 7);
        let before = fixture.pages();
        let age = Some(Duration::from_secs(2 * 3600));
        fixture.clean(Retention { age, size: None, ..Retention::default() });
        assert_eq!(fixture.number("SELECT sum(points) FROM chunk"), 10);
        assert_eq!(fixture.number("SELECT count(*) FROM log"), 7);
        assert_eq!(fixture.number("SELECT count(*) FROM series"), 1);
        assert!(fixture.pages() < before / 2 + PAGES_PER_STEP, "{before} pages, then {}", fixture.pages());

        assert_eq!(fixture.clean(Retention { age: None, size: None, ..Retention::default() }), 0);
        // Everything is too old, but the newest record stays for its id.
        fixture.clean(Retention { age: Some(Duration::ZERO), size: None, ..Retention::default() });
        assert_eq!(fixture.number("SELECT count(*) FROM chunk"), 0);
        assert_eq!(fixture.number("SELECT id FROM log"), 5007);
    }

    #[test]
    fn excess_data_is_deleted_oldest_first() {
        let mut fixture = Fixture::new();
        let now = clock::now();
        for age in (0..200).rev() {
            fixture.write(now - age * HOUR, "measured", 1000, 500);
        }
        let full = used_bytes(&fixture.connection).unwrap();
        let limit = full / 2;
        let steps = fixture.clean(Retention { age: None, size: Some(limit), ..Retention::default() });
        let used = used_bytes(&fixture.connection).unwrap();
        assert!(used <= limit && used > limit * 3 / 4, "{used} of {limit}");
        assert!(steps > 5, "{steps} small steps");
        assert!(fixture.pages() * 4096 < i64::try_from(limit).unwrap() + PAGES_PER_STEP * 4096);

        // Both kinds keep the same span of time, up to the newest, within one step.
        assert_eq!(fixture.number("SELECT max(time) FROM log"), now);
        assert_eq!(fixture.number("SELECT max(last) FROM chunk"), now);
        let apart = fixture.number("SELECT abs((SELECT min(time) FROM log) - (SELECT min(last) FROM chunk))");
        assert!(apart <= 6 * HOUR, "{} h", apart / HOUR);
    }
}
