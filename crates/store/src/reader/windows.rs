//! Points summed up over windows of time.

use super::{
    Reader,
    measurements::{Found, PointFilter, Tags},
    sketch::Sketch,
};
use crate::{
    chunk,
    error::{Error, PointError},
    point::Value,
};
use rusqlite::{Connection, params};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The most windows a query may give, groups counted apart.
pub const MAX_WINDOWS: usize = 100_000;

/// What to sum up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowQuery {
    /// Which points.
    pub points: PointFilter,
    /// Which of their fields; values that are no numbers are passed over.
    pub field: String,
    /// How long a window is. Windows start at multiples of it since the Unix epoch.
    pub every: Duration,
    /// The tags whose values are summed up apart.
    pub group_by: Vec<String>,
}

/// What was measured within a window of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The values of the tags of [`WindowQuery::group_by`]; a point may lack some.
    pub group: Arc<Tags>,
    /// When it starts, nanoseconds since the Unix epoch.
    pub start: i64,
    /// How many values there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Half of them are at most this. This and the next two are exact for up to 4096 values, and
    /// within half a percent for more.
    pub p50: f64,
    /// 95 % of them are at most this.
    pub p95: f64,
    /// 99 % of them are at most this.
    pub p99: f64,
}

impl Window {
    /// Their mean.
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

type Windows = BTreeMap<(Arc<Tags>, i64), Values>;

impl Reader {
    /// Sums points up, in order of group and time; windows without a value are left out.
    pub fn windows(&self, query: &WindowQuery) -> Result<Vec<Window>, Error> {
        let windows = self.telemetry.read(|connection| {
            let mut windows = Windows::new();
            for series in query.points.series(connection)? {
                if !add_series(connection, query, &series, &mut windows)? {
                    return Ok(None);
                }
            }
            Ok(Some(windows))
        })?;
        let windows = windows.ok_or(PointError::TooManyWindows { max: MAX_WINDOWS })?;
        Ok(windows.into_iter().filter_map(|((group, start), values)| values.finish(group, start)).collect())
    }
}

/// Adds the points of a series; `false` where there are too many windows.
fn add_series(
    connection: &Connection,
    query: &WindowQuery,
    series: &Found,
    windows: &mut Windows,
) -> rusqlite::Result<bool> {
    let grouped = |name: &String| Some((name.clone(), series.tags.get(name)?.clone()));
    let group = Arc::new(query.group_by.iter().filter_map(grouped).collect::<Tags>());
    let (first, last) = query.points.span();
    let sql = "SELECT data FROM chunk WHERE series = ? AND last >= ? AND first <= ?";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![series.id, first, last])?;
    while let Some(row) = rows.next()? {
        let Some(chunk) = chunk::decode(row.get_ref(0)?.as_blob()?, |name| name == query.field) else {
            tracing::warn!("a damaged chunk of measurements was passed over");
            continue;
        };
        add_chunk(&chunk, query, &group, windows);
        if windows.len() > MAX_WINDOWS {
            return Ok(false);
        }
    }
    Ok(true)
}

fn add_chunk(chunk: &chunk::Chunk<'_>, query: &WindowQuery, group: &Arc<Tags>, windows: &mut Windows) {
    let every = crate::clock::nanos(query.every).max(1);
    for (_, values) in &chunk.columns {
        for (&time, value) in chunk.times.iter().zip(values) {
            let number = value.as_ref().and_then(Value::number);
            let Some(number) = number.filter(|number| number.is_finite() && query.points.has(time)) else {
                continue;
            };
            let start = time.div_euclid(every).saturating_mul(every);
            windows.entry((Arc::clone(group), start)).or_default().add(number);
        }
    }
}
