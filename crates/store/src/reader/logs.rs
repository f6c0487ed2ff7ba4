//! Searching and following logs.
//!
//! A search reads records from the newest on and stops once it has enough. A text is looked for by a
//! plain scan: a million records take some tenths of a second, and an index of texts would make
//! every record several times as dear to write.

use super::Reader;
use crate::{error::Error, filter::FilterError, log::Level};
use regex::{Regex, RegexBuilder};
use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};

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

/// A filter ready to look at rows.
struct Matcher<'a> {
    filter: &'a LogFilter,
    text: Option<Regex>,
}

impl<'a> Matcher<'a> {
    fn new(filter: &'a LogFilter) -> Result<Self, FilterError> {
        let text = filter.text.as_deref().filter(|text| !text.is_empty()).map(anywhere).transpose()?;
        Ok(Self { filter, text })
    }

    /// Whether a row fits; the cheap tests come first, and nothing is copied.
    fn fits(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let filter = self.filter;
        let time: i64 = row.get(1)?;
        if filter.from.is_some_and(|from| time < from) || filter.to.is_some_and(|to| time >= to) {
            return Ok(false);
        }
        if filter
            .level
            .is_some_and(|level| row.get(2).map(Level::from_number).is_ok_and(|found| found < level))
        {
            return Ok(false);
        }
        for (column, wanted) in
            [(3, &filter.version), (4, &filter.workflow), (5, &filter.node), (6, &filter.request)]
        {
            let Some(wanted) = wanted else { continue };
            if row.get_ref(column)? != ValueRef::Text(wanted.as_bytes()) {
                return Ok(false);
            }
        }
        match &self.text {
            Some(text) => Ok(text.is_match(row.get_ref(7)?.as_str()?)),
            None => Ok(true),
        }
    }
}

/// Finds a text in whatever case.
fn anywhere(text: &str) -> Result<Regex, FilterError> {
    let refused = |reason| FilterError::Pattern {
        pattern: text.chars().take(80).collect(),
        reason,
        path: String::new(),
    };
    if text.len() > MAX_TEXT {
        return Err(refused(format!("it takes {} bytes, at most {MAX_TEXT} are looked for", text.len())));
    }
    let regex = RegexBuilder::new(&regex::escape(text)).case_insensitive(true).build();
    regex.map_err(|error| refused(error.to_string()))
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
        let matcher = Matcher::new(filter)?;
        self.telemetry.read(|connection| {
            let last = newest(connection)?;
            let last = filter.before.map_or(last, |before| last.min(before.saturating_sub(1)));
            let Some((low, high)) = ids(connection, filter, last)? else {
                return Ok(LogPage { records: Vec::new(), last });
            };
            let sql = format!("SELECT {COLUMNS} FROM log WHERE id BETWEEN ? AND ? ORDER BY id DESC");
            let mut records = scan(connection, &sql, (low, high), &matcher, limit)?;
            records.reverse();
            Ok(LogPage { records, last })
        })
    }

    /// The first records after an id that fit, at most `limit`: called again with the page's `last`,
    /// it follows the log.
    pub fn logs_after(&self, after: i64, filter: &LogFilter, limit: usize) -> Result<LogPage, Error> {
        let matcher = Matcher::new(filter)?;
        self.telemetry.read(|connection| {
            let newest = newest(connection)?.max(after);
            let sql = format!("SELECT {COLUMNS} FROM log WHERE id > ? AND id <= ? ORDER BY id");
            let records = scan(connection, &sql, (after, newest), &matcher, limit)?;
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
        return Ok(Some((i64::MIN, newest)));
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

fn scan(
    connection: &Connection,
    sql: &str,
    (low, high): (i64, i64),
    matcher: &Matcher<'_>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredLog>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([low, high])?;
    let mut records = Vec::new();
    while records.len() < limit {
        let Some(row) = rows.next()? else { break };
        if matcher.fits(row)? {
            records.push(record(row)?);
        }
    }
    Ok(records)
}
