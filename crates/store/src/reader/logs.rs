//! Searching and following logs.
//!
//! A search reads records from the newest on and stops once it has enough. A request's records, and grave ones,
//! are found by an index. A text is looked for by a plain scan, on several threads where it is rare: a million records
//! take some tenths of a second, and an index of texts would make every record several times as dear to write.

use super::Reader;
use crate::{error::Error, filter::FilterError, log::Level};
use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use std::thread;

/// How many records are looked at first, by one thread, and then by each of several.
const FEW: i64 = 1 << 14;
const MANY: i64 = 1 << 17;
/// The most threads of one search.
const MAX_THREADS: usize = 4;

/// The longest text that is looked for, bytes.
const MAX_TEXT: usize = 4096;

/// Which records are wanted: all that fit everything that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    /// A text in the message, in whatever case.
    pub text: Option<String>,
    /// At least as grave as this.
    pub level: Option<Level>,
    /// The version.
    pub version: Option<String>,
    /// The workflow.
    pub workflow: Option<String>,
    /// The node.
    pub node: Option<String>,
    /// The request's id.
    pub request: Option<String>,
    /// From this time on, nanoseconds since the Unix epoch.
    pub from: Option<i64>,
    /// Before this time.
    pub to: Option<i64>,
    /// With a lesser number than this: that of the oldest record of a page gives the page before.
    pub before: Option<i64>,
}

impl LogFilter {
    /// Whether an index leads to what fits.
    fn is_indexed(&self) -> bool {
        self.request.is_some() || self.text.is_none() && self.level.is_some_and(|level| level >= Level::Warn)
    }

    /// The text, ready to be looked for.
    fn text(&self) -> Result<Option<Text>, FilterError> {
        self.text.as_deref().filter(|text| !text.is_empty()).map(Text::new).transpose()
    }
}

/// A record as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLog {
    /// Its number: those that came later have a greater one.
    pub id: i64,
    /// When, nanoseconds since the Unix epoch.
    pub time: i64,
    /// How grave.
    pub level: Level,
    /// The version of the solution.
    pub version: String,
    /// The workflow, if one was at work.
    pub workflow: Option<String>,
    /// The node; `None` where the engine itself speaks.
    pub node: Option<String>,
    /// The id of the request, if one was at work.
    pub request: Option<String>,
    /// What is said.
    pub message: String,
}

/// Records in the order in which they came, and how far was looked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPage {
    /// The records.
    pub records: Vec<StoredLog>,
    /// Every record up to this id was looked at, or left out for the limit: where
    /// [`Reader::logs_after`] goes on.
    pub last: i64,
}

/// A filter as a statement: all but the text is SQLite's to look at.
struct Search<'a> {
    sql: String,
    values: Vec<&'a dyn ToSql>,
    text: Option<&'a Text>,
}

impl<'a> Search<'a> {
    /// Looks at records between two ids, both included, in this order.
    fn new(filter: &'a LogFilter, text: Option<&'a Text>, ids: &'a (i64, i64), order: &str) -> Self {
        // For a text the message alone is read of each record.
        let columns = if text.is_some() { "id, message" } else { COLUMNS };
        let mut sql = format!("SELECT {columns} FROM log WHERE id BETWEEN ? AND ?");
        let mut values: Vec<&dyn ToSql> = vec![&ids.0, &ids.1];
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
        // The number stands there for the index of grave records to be used.
        let grave = filter.level.is_some_and(|level| level >= Level::Warn);
        add(if grave { " AND level >= 2 AND level >= ?" } else { " AND level >= ?" }, value(&filter.level));
        // With the sign they are no reason to go through the index of times: the ids are of these already.
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

    /// The first records that fit, at most `limit`.
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

/// A text that is looked for in whatever case.
#[derive(Debug)]
enum Text {
    /// In lower case: a regular expression takes three times as long where every line begins like the text.
    Ascii(Box<Finder<'static>>),
    /// With letters whose other case is not a byte's.
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

    /// Whether a message has it; `lower` is memory for the message in lower case.
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

/// Parts of a range of ids, the newest first: a few records, and then many at a time.
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
        self.size = MANY;
        Some(slice)
    }
}

const COLUMNS: &str = "id, time, level, version, workflow, node, request, message";

fn record(row: &Row<'_>) -> rusqlite::Result<StoredLog> {
    Ok(StoredLog {
        id: row.get(0)?,
        time: row.get(1)?,
        level: Level::from_number(row.get(2)?),
        version: row.get(3)?,
        workflow: row.get(4)?,
        node: row.get(5)?,
        request: row.get(6)?,
        message: row.get(7)?,
    })
}

impl Reader {
    /// The newest records that fit, at most `limit`, in the order in which they came.
    pub fn logs(&self, filter: &LogFilter, limit: usize) -> Result<LogPage, Error> {
        let text = filter.text()?;
        let (last, ids) = self.telemetry.read(|connection| {
            let last = newest(connection)?;
            let last = filter.before.map_or(last, |before| last.min(before.saturating_sub(1)));
            Ok((last, ids(connection, filter, last)?))
        })?;
        let mut records = Vec::new();
        let size = if filter.is_indexed() { i64::MAX } else { FEW };
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

    /// What fits in each of some slices, at most `limit`, the newest first. A thread looks at each.
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
                // The system has no thread for it.
                Err(_) => look(slice),
            });
            ended.collect::<Result<Vec<_>, _>>()
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The first records after an id that fit, at most `limit`: called again with the page's `last`,
    /// it follows the log.
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

/// The first and the last id within the filter's time; all of them where it has none.
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
