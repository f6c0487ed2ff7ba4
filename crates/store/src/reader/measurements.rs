//! Measurements and their points.

use super::Reader;
use crate::{
    chunk,
    error::Error,
    point::{Value, parse_key},
};
use rusqlite::{Connection, params};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

/// The most recent chunks that are searched for field names.
const LATEST_CHUNKS: i64 = 20;

/// Tags by name.
pub type Tags = BTreeMap<String, String>;

/// A measurement with one set of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesInfo {
    /// The name of the measurement.
    pub measurement: String,
    /// The tags.
    pub tags: Arc<Tags>,
    /// Its number of points.
    pub points: u64,
    /// The time of the first point, in nanoseconds since the Unix epoch.
    pub first: i64,
    /// The time of the last point.
    pub last: i64,
}

/// Selects points that match everything that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PointFilter {
    /// The name of the measurement.
    pub measurement: String,
    /// Tags of the points, which may have others, too.
    pub tags: Tags,
    /// From this time on, in nanoseconds since the Unix epoch.
    pub from: Option<i64>,
    /// Before this time.
    pub to: Option<i64>,
}

/// A stored point.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPoint {
    /// The time, in nanoseconds since the Unix epoch.
    pub time: i64,
    /// The tags.
    pub tags: Arc<Tags>,
    /// The fields by name.
    pub fields: BTreeMap<String, Value<'static>>,
}

/// The order of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest first.
    OldestFirst,
    /// Newest first.
    #[default]
    NewestFirst,
}

/// A series that matches a filter.
pub(super) struct MatchedSeries {
    pub(super) id: i64,
    pub(super) tags: Arc<Tags>,
}

/// A chunk's row and the span of its times.
struct ChunkRow {
    row: i64,
    first: i64,
    last: i64,
    tags: Arc<Tags>,
}

impl PointFilter {
    /// Whether a time is within the filter's range.
    pub(super) fn has(&self, time: i64) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }

    /// The first and last time, both included.
    pub(super) fn span(&self) -> (i64, i64) {
        (self.from.unwrap_or(i64::MIN), self.to.map_or(i64::MAX, |to| to.saturating_sub(1)))
    }

    /// The series that match.
    pub(super) fn series(&self, connection: &Connection) -> rusqlite::Result<Vec<MatchedSeries>> {
        let mut statement = connection.prepare_cached("SELECT id, key FROM series WHERE measurement = ?")?;
        let all = statement
            .query_map([&self.measurement], |row| Ok((row.get(0)?, tags(row.get_ref(1)?.as_blob()?))))?;
        let fits =
            |(_, tags): &(i64, Tags)| self.tags.iter().all(|(name, value)| tags.get(name) == Some(value));
        let fitting = all.filter(|series| series.as_ref().map_or(true, fits));
        fitting.map(|series| series.map(|(id, tags)| MatchedSeries { id, tags: Arc::new(tags) })).collect()
    }
}

fn tags(key: &[u8]) -> Tags {
    let tags = parse_key(key).map(|(_, tags)| tags).unwrap_or_default();
    tags.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Reader {
    /// The names of all measurements.
    pub fn measurements(&self) -> Result<Vec<String>, Error> {
        let sql = "SELECT DISTINCT measurement FROM series ORDER BY measurement";
        self.telemetry.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// The numeric fields of a measurement, in its latest points.
    pub fn numeric_fields(&self, measurement: &str) -> Result<BTreeSet<String>, Error> {
        let sql = "SELECT data FROM chunk WHERE id IN (SELECT chunk.id FROM series JOIN chunk ON series = series.id \
                   WHERE measurement = ? ORDER BY chunk.last DESC LIMIT ?)";
        self.telemetry.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![measurement, LATEST_CHUNKS])?;
            let mut fields = BTreeSet::new();
            while let Some(row) = rows.next()? {
                let names = chunk::numeric_fields(row.get_ref(0)?.as_blob()?).unwrap_or_default();
                fields.extend(names.into_iter().map(str::to_owned));
            }
            Ok(fields)
        })
    }

    /// The series of a measurement.
    pub fn series(&self, measurement: &str) -> Result<Vec<SeriesInfo>, Error> {
        let sql = "SELECT key, sum(points), min(first), max(chunk.last) FROM series JOIN chunk ON series = series.id \
                   WHERE measurement = ? GROUP BY series.id ORDER BY key";
        self.telemetry.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let series = statement.query_map([measurement], |row| {
                Ok(SeriesInfo {
                    measurement: measurement.to_owned(),
                    tags: Arc::new(tags(row.get_ref(0)?.as_blob()?)),
                    points: row.get::<_, i64>(1)?.unsigned_abs(),
                    first: row.get(2)?,
                    last: row.get(3)?,
                })
            })?;
            series.collect()
        })
    }

    /// Points in order of time, at most `limit`.
    pub fn points(
        &self,
        filter: &PointFilter,
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredPoint>, Error> {
        self.find_points(&PointQuery { filter, named: None }, order, limit)
    }

    /// The oldest points with this text in a field, such as a request's id, at most `limit`.
    pub fn points_that_name(
        &self,
        filter: &PointFilter,
        field: &str,
        text: &str,
        limit: usize,
    ) -> Result<Vec<StoredPoint>, Error> {
        self.find_points(&PointQuery { filter, named: Some((field, text)) }, Order::OldestFirst, limit)
    }

    fn find_points(
        &self,
        wanted: &PointQuery<'_>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredPoint>, Error> {
        self.telemetry.read(|connection| {
            let mut places = Vec::new();
            for series in wanted.filter.series(connection)? {
                places.extend(chunks(connection, wanted.filter, &series)?);
            }
            collect(connection, wanted, order, limit, places)
        })
    }
}

/// Selects points of chunks.
struct PointQuery<'a> {
    filter: &'a PointFilter,
    /// A field and its required text.
    named: Option<(&'a str, &'a str)>,
}

impl PointQuery<'_> {
    /// The matching points of a chunk.
    fn rows(&self, chunk: &chunk::Chunk<'_>) -> Vec<usize> {
        let named = |(field, wanted): (&str, &str), row: usize| {
            let mut columns = chunk.columns.iter().filter(|(name, _)| *name == field);
            columns.any(|(_, values)| matches!(&values[row], Some(Value::Text(text)) if text == wanted))
        };
        let fits = |row: &usize| {
            self.filter.has(chunk.times[*row]) && self.named.is_none_or(|field| named(field, *row))
        };
        (0..chunk.times.len()).filter(fits).collect()
    }
}

/// The chunks of a series that may hold points within the filter's range.
fn chunks(
    connection: &Connection,
    filter: &PointFilter,
    series: &MatchedSeries,
) -> rusqlite::Result<Vec<ChunkRow>> {
    let sql = "SELECT id, first, last FROM chunk WHERE series = ? AND last >= ? AND first <= ?";
    let (first, last) = filter.span();
    let mut statement = connection.prepare_cached(sql)?;
    let places = statement.query_map(params![series.id, first, last], |row| {
        Ok(ChunkRow {
            row: row.get(0)?,
            first: row.get(1)?,
            last: row.get(2)?,
            tags: Arc::clone(&series.tags),
        })
    })?;
    places.collect()
}

/// A point with the rank that selects the best `limit`.
struct Ranked {
    /// Less is better.
    rank: (i64, u64),
    point: StoredPoint,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

/// Reads chunks, the most promising first, until no other can hold a better point.
fn collect(
    connection: &Connection,
    wanted: &PointQuery<'_>,
    order: Order,
    limit: usize,
    mut places: Vec<ChunkRow>,
) -> rusqlite::Result<Vec<StoredPoint>> {
    match order {
        Order::OldestFirst => places.sort_by_key(|place| place.first),
        Order::NewestFirst => places.sort_by_key(|place| Reverse(place.last)),
    }
    let rank = |time: i64| if order == Order::OldestFirst { time } else { !time };
    let mut best: BinaryHeap<Ranked> = BinaryHeap::new();
    let mut seen = 0;
    for place in places {
        let promise = rank(if order == Order::OldestFirst { place.first } else { place.last });
        let worst = |best: &BinaryHeap<Ranked>| best.peek().map(|worst| worst.rank.0);
        if best.len() >= limit && worst(&best).is_none_or(|worst| promise > worst) {
            break;
        }
        read_chunk(connection, place.row, wanted, |chunk, rows| {
            for index in rows {
                let time = chunk.times[index];
                seen += 1;
                let rank = (rank(time), seen);
                if best.len() >= limit && worst(&best).is_none_or(|worst| rank.0 >= worst) {
                    continue;
                }
                best.push(Ranked { rank, point: point(&chunk, index, &place.tags) });
                if best.len() > limit {
                    best.pop();
                }
            }
        })?;
    }
    Ok(best.into_sorted_vec().into_iter().map(|ranked| ranked.point).collect())
}

/// Reads the matching points of a chunk; skips one that is damaged or was just deleted.
fn read_chunk(
    connection: &Connection,
    row: i64,
    wanted: &PointQuery<'_>,
    read: impl FnOnce(chunk::Chunk<'_>, Vec<usize>),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT data FROM chunk WHERE id = ?")?;
    let mut rows = statement.query([row])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let data = row.get_ref(0)?.as_blob()?;
    // Most chunks lack the text, so only that column is decoded at first.
    let of_name = |name: &str| wanted.named.is_some_and(|(field, _)| field == name);
    let found = chunk::decode(data, of_name).and_then(|chunk| {
        let rows = wanted.rows(&chunk);
        let chunk = if rows.is_empty() { chunk } else { chunk::decode(data, |_| true)? };
        Some((chunk, rows))
    });
    match found {
        Some((chunk, rows)) => read(chunk, rows),
        None => tracing::warn!("a damaged chunk of measurements was passed over"),
    }
    Ok(())
}

fn point(chunk: &chunk::Chunk<'_>, index: usize, tags: &Arc<Tags>) -> StoredPoint {
    let mut fields = BTreeMap::new();
    for (name, values) in &chunk.columns {
        if let Some(value) = &values[index] {
            fields.entry((*name).to_owned()).or_insert_with(|| value.clone().into_owned());
        }
    }
    StoredPoint { time: chunk.times[index], tags: Arc::clone(tags), fields }
}
