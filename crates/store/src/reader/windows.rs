//! Aggregates points over windows of time.

use super::{
    Reader,
    measurements::{MatchedSeries, PointFilter, Tags},
    sketch::Sketch,
};
use crate::{
    chunk,
    error::{Error, PointError},
};
use rusqlite::{Connection, params};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The most windows of a query; each group counts on its own.
pub const MAX_WINDOWS: usize = 100_000;

/// A query over windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowQuery {
    /// The points.
    pub points: PointFilter,
    /// The field; values that are not numbers are skipped.
    pub field: String,
    /// The length of a window. Windows start at its multiples since the Unix epoch.
    pub every: Duration,
    /// The tags to group by.
    pub group_by: Vec<String>,
}

/// The aggregates of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The values of the tags of [`WindowQuery::group_by`]; a point may lack some.
    pub group: Arc<Tags>,
    /// Its start, in nanoseconds since the Unix epoch.
    pub start: i64,
    /// The number of values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The median. This and the next two are exact for up to 4096 values, and within half a percent for more.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl Window {
    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// The values of a window.
#[derive(Debug)]
struct Values {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    sketch: Sketch,
}

impl Default for Values {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, sketch: Sketch::default() }
    }
}

impl Values {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sketch.add(value);
    }

    fn finish(mut self, group: Arc<Tags>, start: i64) -> Option<Window> {
        let [p50, p95, p99] = self.sketch.percentiles([0.5, 0.95, 0.99])?;
        let Self { count, sum, min, max, .. } = self;
        Some(Window { group, start, count, sum, min, max, p50, p95, p99 })
    }
}

/// By start.
type Windows = BTreeMap<i64, Values>;

impl Reader {
    /// Aggregates points, in order of group and time; leaves out windows without values.
    pub fn windows(&self, query: &WindowQuery) -> Result<Vec<Window>, Error> {
        let groups = self.telemetry.read(|connection| {
            let mut groups = BTreeMap::<Arc<Tags>, Windows>::new();
            let mut room = MAX_WINDOWS;
            for series in query.points.series(connection)? {
                let grouped = |name: &String| Some((name.clone(), series.tags.get(name)?.clone()));
                let group = Arc::new(query.group_by.iter().filter_map(grouped).collect());
                let windows = groups.entry(group).or_default();
                let before = windows.len();
                if !add_series(connection, query, &series, windows, before + room)? {
                    return Ok(None);
                }
                room -= windows.len() - before;
            }
            Ok(Some(groups))
        })?;
        let groups = groups.ok_or(PointError::TooManyWindows { max: MAX_WINDOWS })?;
        let finish = |(group, windows): (Arc<Tags>, Windows)| {
            windows.into_iter().filter_map(move |(start, values)| values.finish(Arc::clone(&group), start))
        };
        Ok(groups.into_iter().flat_map(finish).collect())
    }
}

/// Adds the points of a series; returns `false` beyond `most` windows.
fn add_series(
    connection: &Connection,
    query: &WindowQuery,
    series: &MatchedSeries,
    windows: &mut Windows,
    most: usize,
) -> rusqlite::Result<bool> {
    let (first, last) = query.points.span();
    let sql = "SELECT data FROM chunk WHERE series = ? AND last >= ? AND first <= ?";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![series.id, first, last])?;
    while let Some(row) = rows.next()? {
        let Some(numbers) = chunk::numbers(row.get_ref(0)?.as_blob()?, &query.field) else {
            tracing::warn!("a damaged chunk of measurements was passed over");
            continue;
        };
        add(numbers, query, windows);
        if windows.len() > most {
            return Ok(false);
        }
    }
    Ok(true)
}

fn add(numbers: Vec<(i64, f64)>, query: &WindowQuery, windows: &mut Windows) {
    let every = crate::clock::nanos(query.every).max(1);
    // Points are nearly in order of time, so a point is usually in the same window as the one before.
    let mut current: Option<(i64, &mut Values)> = None;
    for (time, number) in numbers {
        if !number.is_finite() || !query.points.has(time) {
            continue;
        }
        let start = time.div_euclid(every).saturating_mul(every);
        if let Some((_, values)) = current.as_mut().filter(|(begun, _)| *begun == start) {
            values.add(number);
            continue;
        }
        let values = windows.entry(start).or_default();
        values.add(number);
        current = Some((start, values));
    }
}
