//! Searches requests.
//!
//! Each row covers many requests and stores their times of arrival, longest duration and endings, so a search
//! for the latest or slowest ones skips most rows.

use super::Reader;
use crate::{
    clock,
    error::Error,
    request::{Head, bit, requests},
};
use krt_model::request::{Ending, RequestRecord};
use memchr::memmem;
use rusqlite::{Connection, Row, ToSql, params};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// The greatest difference between the time in a request's id and its arrival, unless the clock was set back.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(1);

/// Selects requests that match everything that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestFilter {
    /// The version.
    pub version: Option<String>,
    /// The workflow.
    pub workflow: Option<String>,
    /// How the request ended.
    pub ending: Option<Ending>,
    /// Only those after this one, as given by [`RequestOrder::key`].
    pub after: Option<(i64, String)>,
}

/// The order of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestOrder {
    /// The latest first.
    #[default]
    Latest,
    /// The slowest first.
    Slowest,
}

impl RequestOrder {
    /// The sort key of a request; greater keys come first.
    pub fn key(self, request: &RequestRecord) -> (i64, String) {
        (self.number(request.start, request.elapsed), request.id.to_string())
    }

    fn number(self, start: i64, elapsed: u64) -> i64 {
        match self {
            Self::Latest => start,
            Self::Slowest => i64::try_from(elapsed).unwrap_or(i64::MAX),
        }
    }

    /// The column with a row's greatest sort number.
    fn column(self) -> &'static str {
        match self {
            Self::Latest => "last",
            Self::Slowest => "slowest",
        }
    }
}

impl RequestFilter {
    /// Whether a request matches.
    pub fn fits(&self, order: RequestOrder, request: &RequestRecord) -> bool {
        let key = (order.number(request.start, request.elapsed), &*request.id);
        self.matches(request.version.as_str(), request.workflow.as_str(), request.ending, key)
    }

    fn matches(&self, version: &str, workflow: &str, ending: Ending, key: (i64, &str)) -> bool {
        self.version.as_ref().is_none_or(|wanted| wanted == version)
            && self.workflow.as_ref().is_none_or(|wanted| wanted == workflow)
            && self.ending.is_none_or(|wanted| wanted == ending)
            && self.after.as_ref().is_none_or(|(number, id)| key < (*number, id))
    }
}

/// A search for the first matching requests in an order.
struct Search<'a> {
    filter: &'a RequestFilter,
    order: RequestOrder,
    limit: usize,
    /// By sort key.
    found: BTreeMap<(i64, String), RequestRecord>,
}

impl Search<'_> {
    /// Whether no row from this number on can improve the result.
    fn is_done(&self, greatest: i64) -> bool {
        self.found.len() >= self.limit
            && self.found.first_key_value().is_none_or(|((worst, _), _)| greatest < *worst)
    }

    /// Tests a stored request.
    fn request(&mut self, head: Head<'_>) {
        let key = (self.order.number(head.start, head.elapsed), head.id);
        if !self.filter.matches(head.version, head.workflow, head.ending, key) {
            return;
        }
        let is_full = self.found.len() >= self.limit;
        let worst = self.found.first_key_value().map(|((number, id), _)| (*number, id.as_str()));
        if is_full && worst.is_none_or(|worst| key <= worst) {
            return;
        }
        // A damaged record takes no place in the result.
        let Some(request) = head.decode() else { return };
        if is_full {
            self.found.pop_first();
        }
        self.found.insert((key.0, key.1.to_owned()), request);
    }
}

impl Reader {
    /// The first matching requests in an order, at most `limit`.
    pub fn requests(
        &self,
        filter: &RequestFilter,
        order: RequestOrder,
        limit: usize,
    ) -> Result<Vec<RequestRecord>, Error> {
        self.telemetry.read(|connection| {
            let mut search = Search { filter, order, limit, found: BTreeMap::new() };
            let column = order.column();
            // A row's first request has its least time; by duration, any row may hold lesser ones.
            let sql = format!(
                "SELECT {column}, data FROM request WHERE first <= ? AND endings & ? ORDER BY {column} DESC"
            );
            let first = match (order, &filter.after) {
                (RequestOrder::Latest, Some((start, _))) => *start,
                _ => i64::MAX,
            };
            let endings = filter.ending.map_or(-1, bit);
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([first, endings])?;
            while let Some(row) = rows.next()? {
                if search.is_done(row.get(0)?) {
                    break;
                }
                requests(row.get_ref(1)?.as_blob()?).for_each(|(head, _)| search.request(head));
            }
            Ok(search.found.into_values().rev().collect())
        })
    }

    /// The request with this id.
    pub fn request(&self, id: &str) -> Result<Option<RequestRecord>, Error> {
        let rows = "SELECT data FROM request";
        self.telemetry.read(|connection| {
            if let Some(time) = time_of(id) {
                let apart = clock::nanos(MAX_CLOCK_DIFFERENCE);
                let around = format!("{rows} WHERE first <= ? AND last >= ?");
                let values = params![time.saturating_add(apart), time.saturating_sub(apart)];
                if let Some(found) = find(connection, &around, values, id)? {
                    return Ok(Some(found));
                }
            }
            find(connection, rows, params![], id)
        })
    }

    /// The number of stored requests.
    pub fn count_requests(&self) -> Result<usize, Error> {
        let sql = "SELECT coalesce(sum(requests), 0) FROM request";
        let count = |row: &Row<'_>| row.get::<_, i64>(0);
        let count = self.telemetry.read(|connection| connection.prepare_cached(sql)?.query_row([], count))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }
}

/// When a request's id was created, if it is a UUID of version 7.
fn time_of(id: &str) -> Option<i64> {
    let (seconds, nanos) = Uuid::parse_str(id).ok()?.get_timestamp()?.to_unix();
    i64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(nanos.into())
}

fn find(
    connection: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
    id: &str,
) -> rusqlite::Result<Option<RequestRecord>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        let data = row.get_ref(0)?.as_blob()?;
        // Most rows do not contain the id at all.
        if memmem::find(data, id.as_bytes()).is_none() {
            continue;
        }
        let found = requests(data).map(|(head, _)| head).find(|head| head.id == id);
        if let Some(request) = found.and_then(Head::decode) {
            return Ok(Some(request));
        }
    }
    Ok(None)
}
