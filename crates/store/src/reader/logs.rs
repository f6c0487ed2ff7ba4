//! Searches and follows logs.
//!
//! A search reads records from the newest on and stops once it has enough. An index finds a request's records
//! and severe ones. Text is searched by a plain scan, with several threads when matches are rare: a million
//! records take some tenths of a second, and a text index would make every record several times as expensive
//! to write.

use super::Reader;
use crate::{error::Error, filter::FilterError, log};
use krt_model::log::Level;
use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use std::thread;

/// How many records one thread scans first, and then each of several threads.
const FIRST_SCAN: i64 = 1 << 14;
const PARALLEL_SCAN: i64 = 1 << 17;
/// The most threads of one search.
const MAX_THREADS: usize = 4;

/// The longest text of a search, in bytes.
const MAX_TEXT: usize = 4096;

/// Selects records that match everything that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    /// Text in the message; case does not matter.
    pub text: Option<String>,
    /// This level or a more severe one.
    pub level: Option<Level>,
    /// The version.
    pub version: Option<String>,
    /// The workflow.
    pub workflow: Option<String>,
    /// The node.
    pub node: Option<String>,
    /// The request's id.
    pub request: Option<String>,
    /// From this time on, in nanoseconds since the Unix epoch.
    pub from: Option<i64>,
    /// Before this time.
    pub to: Option<i64>,
    /// Below this number: the oldest record's number of a page gives the page before it.
    pub before: Option<i64>,
}

impl LogFilter {
    /// Whether an index finds the matching records.
    fn is_indexed(&self) -> bool {
        self.request.is_some() || self.text.is_none() && self.level.is_some_and(|level| level >= Level::Warn)
    }

    /// The text, prepared for the search.
    fn text(&self) -> Result<Option<Text>, FilterError> {
        self.text.as_deref().filter(|text| !text.is_empty()).map(Text::new).transpose()
    }
}

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLog {
    /// Its number; later records have greater ones.
    pub id: i64,
    /// The time, in nanoseconds since the Unix epoch.
    pub time: i64,
    /// The severity.
    pub level: Level,
    /// The version of the solution.
    pub version: String,
    /// The workflow, if the record belongs to one.
    pub workflow: Option<String>,
    /// The node; `None` for the engine itself.
    pub node: Option<String>,
    /// The request's id, if the record belongs to one.
    pub request: Option<String>,
    /// The text.
    pub message: String,
}

/// Records in order of arrival, and how far the search got.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPage {
    /// The records.
    pub records: Vec<StoredLog>,
    /// The id up to which every record was searched, or left out for the limit; [`Reader::logs_after`]
    /// continues from here.
    pub last: i64,
}

/// A filter as a statement: SQLite tests everything but the text.
struct Search<'a> {
    sql: String,
    values: Vec<&'a dyn ToSql>,
    text: Option<&'a Text>,
}

impl<'a> Search<'a> {
    /// Searches records between two ids, both included, in this order.
    fn new(filter: &'a LogFilter, text: Option<&'a Text>, ids: &'a (i64, i64), order: &str) -> Self {
        // A search for text reads only the message of each record.
        let columns = if text.is_some() { "id, message" } else { COLUMNS };
        let mut sql = format!("SELECT {columns} FROM log WHERE id BETWEEN ? AND ?");
        let mut values: Vec<&dyn ToSql> = vec![&ids.0, &ids.1];
        // A literal number lets SQLite use the index of severe records, which begins at 2.
        if let Some(level) = filter.level {
            let grave = if level >= Level::Warn { " AND level >= 2" } else { "" };
            sql.push_str(&format!("{grave} AND level >= {}", level as u8));
        }
        let mut add = |condition: &str, value: Option<&'a dyn ToSql>| {
            if let Some(value) = value {
                sql.push_str(condition);
                values.push(value);
            }
        };
        fn value<T: ToSql>(wanted: &Option<T>) -> Option<&dyn ToSql> {
            wanted.as_ref().map(|wanted| wanted as &dyn ToSql)
        }
        add(" AND request = ?", value(&filter.request));
        // The sign keeps SQLite from using the index of times: the ids already cover them.
        add(" AND +time >= ?", value(&filter.from));
        add(" AND +time < ?", value(&filter.to));
        for (condition, name) in [
            (" AND version = ?", &filter.version),
            (" AND workflow = ?", &filter.workflow),
            (" AND node = ?", &filter.node),
        ] {
            add(condition, value(name));
        }
        sql.push_str(order);
        Self { sql, values, text }
    }

    /// The first matching records, at most `limit`.
    fn run(&self, connection: &Connection, limit: usize) -> rusqlite::Result<Vec<StoredLog>> {
        let mut statement = connection.prepare_cached(&self.sql)?;
        let mut whole = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM log WHERE id = ?"))?;
        let mut rows = statement.query(&*self.values)?;
        let (mut records, mut lower) = (Vec::new(), Vec::new());
        while records.len() < limit {
            let Some(row) = rows.next()? else { break };
            match self.text {
                None => records.push(record(row)?),
                Some(text) if text.is_in(row.get_ref(1)?.as_str()?, &mut lower) => {
                    records.push(whole.query_row([row.get::<_, i64>(0)?], record)?);
                }
                Some(_) => {}
            }
        }
        Ok(records)
    }
}

/// A text to search for, ignoring case.
#[derive(Debug)]
enum Text {
    /// In lower case: a regular expression takes three times as long where every line begins like the text.
    Ascii(Box<Finder<'static>>),
    /// With letters whose other case takes more than one byte.
    Any(Regex),
}

impl Text {
    fn new(text: &str) -> Result<Self, FilterError> {
        let refused = |reason| FilterError::Pattern {
            pattern: text.chars().take(80).collect(),
            reason,
            path: String::new(),
        };
        if text.len() > MAX_TEXT {
            return Err(refused(format!("it takes {} bytes, at most {MAX_TEXT} are looked for", text.len())));
        }
        if text.is_ascii() {
            return Ok(Self::Ascii(Box::new(Finder::new(&text.to_ascii_lowercase()).into_owned())));
        }
        let regex = RegexBuilder::new(&regex::escape(text)).case_insensitive(true).build();
        Ok(Self::Any(regex.map_err(|error| refused(error.to_string()))?))
    }

    /// Whether a message contains it; `lower` is a buffer for the message in lower case.
    fn is_in(&self, message: &str, lower: &mut Vec<u8>) -> bool {
        match self {
            Self::Ascii(finder) => {
                lower.clear();
                lower.extend(message.bytes().map(|byte| byte.to_ascii_lowercase()));
                finder.find(lower).is_some()
            }
            Self::Any(regex) => regex.is_match(message),
        }
    }
}

/// Slices of a range of ids, newest first: a small one, then large ones.
struct Slices {
    first: i64,
    last: i64,
    size: i64,
}

impl Iterator for Slices {
    type Item = (i64, i64);

    fn next(&mut self) -> Option<(i64, i64)> {
        if self.first > self.last {
            return None;
        }
        let slice = (self.first.max(self.last.saturating_sub(self.size - 1)), self.last);
        self.last = slice.0.saturating_sub(1);
        self.size = PARALLEL_SCAN;
        Some(slice)
    }
}

const COLUMNS: &str = "id, time, level, version, workflow, node, request, message";

fn record(row: &Row<'_>) -> rusqlite::Result<StoredLog> {
    Ok(StoredLog {
        id: row.get(0)?,
        time: row.get(1)?,
        level: log::level(row.get(2)?),
        version: row.get(3)?,
        workflow: row.get(4)?,
        node: row.get(5)?,
        request: row.get(6)?,
        message: row.get(7)?,
    })
}

impl Reader {
    /// The newest matching records, at most `limit`, in order of arrival.
    pub fn logs(&self, filter: &LogFilter, limit: usize) -> Result<LogPage, Error> {
        let text = filter.text()?;
        let (last, ids) = self.telemetry.read(|connection| {
            let last = newest(connection)?;
            let last = filter.before.map_or(last, |before| last.min(before.saturating_sub(1)));
            Ok((last, ids(connection, filter, last)?))
        })?;
        let mut records = Vec::new();
        let size = if filter.is_indexed() { i64::MAX } else { FIRST_SCAN };
        let mut slices = ids.map(|(first, last)| Slices { first, last, size }).into_iter().flatten();
        let mut together = 1;
        while records.len() < limit {
            let slices: Vec<_> = slices.by_ref().take(together).collect();
            if slices.is_empty() {
                break;
            }
            records.extend(self.search(filter, text.as_ref(), &slices, limit)?);
            together = thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_THREADS));
        }
        records.truncate(limit);
        records.reverse();
        Ok(LogPage { records, last })
    }

    /// The matches in each of some slices, at most `limit`, newest first. Each slice has a thread.
    fn search(
        &self,
        filter: &LogFilter,
        text: Option<&Text>,
        slices: &[(i64, i64)],
        limit: usize,
    ) -> Result<Vec<StoredLog>, Error> {
        let look = |ids: &(i64, i64)| {
            let search = Search::new(filter, text, ids, " ORDER BY id DESC");
            self.telemetry.read(|connection| search.run(connection, limit))
        };
        if let [slice] = slices {
            return look(slice);
        }
        let found = thread::scope(|scope| {
            let spawn = |slice| (slice, thread::Builder::new().spawn_scoped(scope, move || look(slice)));
            let threads: Vec<_> = slices.iter().map(spawn).collect();
            let ended = threads.into_iter().map(|(slice, thread)| match thread {
                Ok(thread) => thread.join().expect("a search does not panic"),
                // The system has no thread left.
                Err(_) => look(slice),
            });
            ended.collect::<Result<Vec<_>, _>>()
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The first matching records after an id, at most `limit`: called again with the page's `last`, it
    /// follows the log.
    pub fn logs_after(&self, after: i64, filter: &LogFilter, limit: usize) -> Result<LogPage, Error> {
        let text = filter.text()?;
        self.telemetry.read(|connection| {
            let newest = newest(connection)?.max(after);
            let ids = (after.saturating_add(1), newest);
            let records = Search::new(filter, text.as_ref(), &ids, " ORDER BY id").run(connection, limit)?;
            let last = match records.last() {
                Some(record) if records.len() >= limit => record.id,
                _ => newest,
            };
            Ok(LogPage { records, last })
        })
    }
}

fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT coalesce(max(id), 0) FROM log")?.query_row([], |row| row.get(0))
}

/// The first and last id within the filter's time, or of all records where it has none.
fn ids(connection: &Connection, filter: &LogFilter, newest: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    if filter.from.is_none() && filter.to.is_none() {
        let oldest = "SELECT min(id) FROM log";
        let oldest: Option<i64> = connection.prepare_cached(oldest)?.query_row([], |row| row.get(0))?;
        return Ok(oldest.map(|oldest| (oldest, newest)));
    }
    let sql = "SELECT min(id), max(id) FROM log INDEXED BY log_time WHERE time BETWEEN ? AND ?";
    let from = filter.from.unwrap_or(i64::MIN);
    let to = filter.to.map_or(i64::MAX, |to| to.saturating_sub(1));
    let range = connection
        .prepare_cached(sql)?
        .query_row(params![from, to], |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
        })
        .optional()?;
    Ok(range.and_then(|(low, high)| Some((low?, high?.min(newest)))))
}
