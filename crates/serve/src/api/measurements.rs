//! Lists measurements, and reads them over time.

use super::{
    App,
    read::{Query, RuntimePath, Span, within},
    refusal::Refusal,
    response::{self, JsonResponse},
};
use axum::extract::{Path, State};
use krt_api::{
    Time,
    measurement::{Measurement, Window, WindowSeries, Windows},
};
use krt_registry::Timestamp;
use krt_store::{Error, PointFilter, Reader, Tags, WindowQuery};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The most values listed of a tag.
const MAX_TAG_VALUES: usize = 200;
/// The longest name, and the longest tag with its value, in characters.
const MAX_NAME: usize = 255;
const MAX_PAIR: usize = 600;
/// The default range: the last hour.
const DEFAULT_RANGE: Duration = Duration::from_secs(3600);
/// The approximate number of windows when the query sets no length.
const WINDOWS: u64 = 300;
/// The measurements that krt takes itself.
const AUTOMATIC: [&str; 2] = ["node_elapsed_time", "workflow_elapsed_time"];

fn shown(of: &krt_store::Window) -> Window {
    Window {
        start: Time::from_nanos(of.start),
        count: of.count,
        sum: of.sum,
        mean: of.mean(),
        min: of.min,
        max: of.max,
        p50: of.p50,
        p95: of.p95,
        p99: of.p99,
    }
}

pub(super) async fn list(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
) -> Result<JsonResponse<Vec<Measurement>>, Refusal> {
    let all = app.backend().read(&runtime, |store| {
        let reader = store.reader();
        let names = reader.measurements()?;
        let all = names.into_iter().map(|name| describe(reader, name)).collect::<Result<Vec<_>, _>>()?;
        Ok(all.into_iter().flatten().collect())
    });
    Ok(response::ok(all.await?))
}

/// Describes a measurement; `None` when all its points are deleted.
fn describe(reader: &Reader, name: String) -> Result<Option<Measurement>, Error> {
    let series = reader.series(&name)?;
    let span = series.iter().map(|series| (series.first, series.last));
    let span = span.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
    let Some((first, last)) = span else { return Ok(None) };
    let mut tags = BTreeMap::<String, BTreeSet<String>>::new();
    for (tag, value) in series.iter().flat_map(|series| series.tags.iter()) {
        let values = tags.entry(tag.clone()).or_default();
        if values.len() < MAX_TAG_VALUES {
            values.insert(value.clone());
        }
    }
    Ok(Some(Measurement {
        points: series.iter().map(|series| series.points).sum(),
        first: Time::from_nanos(first),
        last: Time::from_nanos(last),
        tags,
        fields: reader.numeric_fields(&name)?,
        automatic: AUTOMATIC.contains(&&*name),
        name,
    }))
}

pub(super) async fn windows(
    State(app): State<App>,
    Path((_, measurement)): Path<(String, String)>,
    RuntimePath(runtime): RuntimePath,
    query: Query,
) -> Result<JsonResponse<Windows>, Refusal> {
    within("measurement", &measurement, MAX_NAME)?;
    let field = query.short("field", MAX_NAME)?;
    let field = field.ok_or_else(|| Refusal::invalid("`field` is missing"))?.to_owned();
    let tag = |text: &str| {
        let pair = text.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| Refusal::invalid("`tag` must be `name:value`"))
    };
    let tags = query.all("tag", MAX_PAIR)?.into_iter().map(tag).collect::<Result<Tags, _>>()?;
    let span = query.span()?;
    let (from, to) = ends(span);
    let every = query.number("every_seconds", 1, 31_536_000)?;
    let every = every.unwrap_or_else(|| {
        let span = to.0.saturating_sub(from.0).unsigned_abs() / 1_000_000;
        (span / WINDOWS).max(1)
    });
    let asked = WindowQuery {
        points: PointFilter {
            measurement: measurement.clone(),
            tags,
            from: Some(from.nanos()),
            to: span.to.map(Timestamp::nanos),
        },
        field: field.clone(),
        every: Duration::from_secs(every),
        group_by: query.all("group_by", MAX_NAME)?.into_iter().map(str::to_owned).collect(),
    };
    let found = app.backend().read(&runtime, move |store| store.reader().windows(&asked)).await?;
    let alike = found.chunk_by(|one, next| one.group == next.group);
    let series = alike.map(|windows| WindowSeries {
        tags: windows[0].group.as_ref().clone(),
        windows: windows.iter().map(shown).collect(),
    });
    let series = series.collect();
    Ok(response::ok(Windows { measurement, field, every_seconds: every, series }))
}

/// The start and end of a span; by default the last hour until now.
fn ends(span: Span) -> (Timestamp, Timestamp) {
    let to = span.to.unwrap_or_else(Timestamp::now);
    let usual = i64::try_from(DEFAULT_RANGE.as_micros()).unwrap_or_default();
    (span.from.unwrap_or(Timestamp(to.0.saturating_sub(usual))), to)
}
