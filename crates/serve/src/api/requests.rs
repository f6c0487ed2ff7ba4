//! The latest, slowest and failed requests, by hop.

use super::{
    App,
    logs::{self, Log},
    predictions::{self, Prediction},
    read::{Last, OfRuntime, Query},
    refusal::Refusal,
    told::{self, Told},
};
use crate::team::Site;
use axum::extract::State;
use bson::{RawDocument, doc};
use futures::TryStreamExt as _;
use krt_model::{message::Timestamp, name::Name, version::Version};
use krt_registry::Moment;
use krt_runtime::flow::{self, Course, EndKind, HopEnding, Journey, Saved};
use krt_store::{FindLimits, PREDICTIONS, PointFilter, StoredPoint, Value, to_json};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

/// How many of a request's log records are told.
const LOGS: usize = 1000;
/// How many of its points of a measurement are told.
const POINTS: usize = 200;
/// The longest id, characters.
const MAX_ID: usize = 64;
/// The largest document that is told whole, bytes.
const MAX_SHOWN: usize = 64 << 10;
/// Measurements that name the request.
const AUTOMATIC: [&str; 2] = ["node_elapsed_time", "workflow_elapsed_time"];
/// How long after a request's end its points may have been measured, nanoseconds.
const AFTER: u64 = 1_000_000_000;

#[derive(Debug, Serialize)]
pub(super) struct Page {
    requests: Vec<Shown>,
    next: Option<String>,
    kept: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Detail {
    request: Shown,
    logs: Vec<Log>,
    points: Vec<Point>,
    documents: Vec<StoredDocument>,
    predictions: Vec<Prediction>,
    saved: usize,
}

/// A document that a handler saved.
#[derive(Debug, Serialize)]
struct StoredDocument {
    node: String,
    collection: String,
    /// Extended JSON.
    id: serde_json::Value,
    /// The same; nothing where it is gone, or too large to be shown.
    document: Option<Box<RawValue>>,
    bytes: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: String,
    version: String,
    workflow: String,
    start: Moment,
    elapsed_ms: f64,
    ending: Ending,
    error: Option<String>,
    request_bytes: usize,
    answer_bytes: Option<usize>,
    early_reply: bool,
    hops: Vec<Hop>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Ending {
    Answered,
    Failed,
    Left,
    Working,
}

#[derive(Debug, Serialize)]
struct Hop {
    node: String,
    position: usize,
    start_ms: f64,
    waiting_ms: f64,
    serialise_ms: f64,
    handler_ms: f64,
    deserialise_ms: f64,
    outcome: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Point {
    measurement: &'static str,
    time: Moment,
    tags: Arc<BTreeMap<String, String>>,
    fields: BTreeMap<String, serde_json::Value>,
}

/// A request that is kept, with the version that it is of.
struct Kept {
    version: Arc<krt_package::Package>,
    journey: Arc<Journey>,
    course: Course,
}

impl Ending {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "answered" => Some(Self::Answered),
            "failed" => Some(Self::Failed),
            "left" => Some(Self::Left),
            "working" => Some(Self::Working),
            _ => None,
        }
    }

    fn of(course: &Course) -> Self {
        match course.end.as_ref().map(|end| &end.kind) {
            Some(EndKind::Answered(_)) => Self::Answered,
            Some(EndKind::Failed(_)) => Self::Failed,
            Some(EndKind::Left) => Self::Left,
            None => Self::Working,
        }
    }
}

impl Kept {
    fn end(&self) -> Timestamp {
        self.course.end.as_ref().map_or_else(flow::now, |end| end.at)
    }

    fn took(&self) -> u64 {
        self.end().0.saturating_sub(self.journey.start.0)
    }

    fn show(&self) -> Shown {
        let of: &Version = &self.version.version;
        let Course { hops, early, end, .. } = &self.course;
        let (error, answer_bytes) = match end.as_ref().map(|end| &end.kind) {
            Some(EndKind::Failed(error)) => (Some(error.clone()), None),
            Some(EndKind::Answered(bytes)) => (None, Some(*bytes)),
            Some(EndKind::Left) | None => (None, None),
        };
        Shown {
            id: self.journey.id.to_string(),
            version: of.name.to_string(),
            workflow: self.journey.route.workflow.to_string(),
            start: moment(self.journey.start),
            elapsed_ms: self.took() as f64 / 1e6,
            ending: Ending::of(&self.course),
            error,
            request_bytes: self.journey.bytes,
            answer_bytes,
            early_reply: *early,
            hops: hops.iter().map(|hop| show_hop(of, self.journey.start, hop)).collect(),
        }
    }
}

fn show_hop(version: &Version, start: Timestamp, hop: &flow::Hop) -> Hop {
    let millis = |nanos: u64| nanos as f64 / 1e6;
    let serialise_ms = millis(hop.serialised.written);
    Hop {
        node: version.nodes[hop.node].name.to_string(),
        position: hop.position,
        start_ms: hop.handled.start.millis_since(start),
        waiting_ms: (hop.handled.start.millis_since(hop.posted) - serialise_ms).max(0.0),
        serialise_ms,
        handler_ms: hop.handled.end.millis_since(hop.handled.start),
        deserialise_ms: millis(hop.serialised.read),
        outcome: match hop.ending {
            HopEnding::Returned => "ok",
            HopEnding::Raised => "error",
            HopEnding::Lost => "died",
        },
    }
}

fn moment(time: Timestamp) -> Moment {
    Moment::from_nanos(i64::try_from(time.0).unwrap_or(i64::MAX))
}

pub(super) async fn list(
    State(app): State<App>,
    OfRuntime(runtime): OfRuntime,
    query: Query,
) -> Result<Told<Page>, Refusal> {
    app.house().runtime(&runtime).await?;
    let (version, workflow) = (query.name("version")?, query.name("workflow")?);
    let ending = query.with("ending", Ending::parse)?;
    let slowest = query.with("order", |order| match order {
        "latest" => Some(false),
        "slowest" => Some(true),
        _ => None,
    })?;
    let limit = query.limit(500, 100)?;
    let mut all = kept(&app, &runtime, version.as_ref());
    let count = all.len();
    all.retain(|kept| {
        workflow.as_ref().is_none_or(|workflow| kept.journey.route.workflow == *workflow)
            && ending.is_none_or(|ending| Ending::of(&kept.course) == ending)
    });
    if slowest == Some(true) {
        all.sort_by_cached_key(|kept| Reverse(kept.took()));
    }
    let from = match query.short("cursor", MAX_ID)? {
        Some(id) => all.iter().position(|kept| &*kept.journey.id == id).map_or(all.len(), |place| place + 1),
        None => 0,
    };
    let page = &all[from..all.len().min(from + limit)];
    let more = from + page.len() < all.len();
    let next = page.last().filter(|_| more).map(|kept| kept.journey.id.to_string());
    Ok(told::ok(Page { requests: page.iter().map(Kept::show).collect(), next, kept: count }))
}

/// All requests of a runtime that are kept, the latest first.
fn kept(app: &App, runtime: &Name, version: Option<&Name>) -> Vec<Kept> {
    let mut all = Vec::new();
    for engine in app.house().engines(runtime) {
        if version.is_some_and(|version| engine.package().version.name != *version) {
            continue;
        }
        let package = engine.package();
        all.extend(engine.flow().recent().all().into_iter().map(|journey| {
            let course = journey.course();
            Kept { version: Arc::clone(package), journey, course }
        }));
    }
    all.sort_by_key(|kept| Reverse(kept.journey.start));
    all
}

pub(super) async fn show(
    State(app): State<App>,
    OfRuntime(runtime): OfRuntime,
    Last(id): Last,
) -> Result<Told<Detail>, Refusal> {
    let engines = app.house().engines(&runtime);
    let found = engines.iter().find_map(|engine| {
        let journey = engine.flow().recent().find(&id)?;
        let course = journey.course();
        Some(Kept { version: Arc::clone(engine.package()), journey, course })
    });
    let found = found.ok_or_else(|| Refusal::missing("such request among those that are remembered"))?;
    let site = app.house().site(&runtime).await?;
    // What is about to be written belongs to it, too.
    site.store.flush().await.map_err(crate::house::Error::from)?;
    let logs = logs::of_request(&app, &runtime, &id, LOGS).await?;
    let (start, end) = (found.journey.start.0, found.end().0 + AFTER);
    let points = app.house().read(&runtime, move |store| {
        let mut points = Vec::new();
        for measurement in AUTOMATIC {
            let nanos = |time: u64| Some(i64::try_from(time).unwrap_or(i64::MAX));
            let filter = PointFilter {
                measurement: measurement.to_owned(),
                from: nanos(start),
                to: nanos(end),
                ..PointFilter::default()
            };
            let found = store.reader().points_that_name(&filter, "tracking_id", &id, POINTS)?;
            points.extend(found.into_iter().map(|point| show_point(measurement, point)));
        }
        Ok(points)
    });
    let points = points.await?;
    let (documents, predictions) = found.saved(&site).await?;
    let saved = found.course.saves;
    Ok(told::ok(Detail { request: found.show(), logs, points, documents, predictions, saved }))
}

impl Kept {
    /// What its handlers saved, as far as it is named.
    async fn saved(&self, site: &Site) -> Result<(Vec<StoredDocument>, Vec<Prediction>), Refusal> {
        let (mut documents, mut predictions) = (Vec::new(), Vec::new());
        for saved in &self.course.saved {
            let one = FindLimits { limit: Some(1), ..FindLimits::default() };
            let mut found =
                predictions::find(site, &saved.collection, doc! { "_id": &saved.id }, one).await?;
            let document = found.try_next().await?;
            match document.as_ref().filter(|_| saved.collection == PREDICTIONS) {
                Some(prediction) => predictions.extend(Prediction::of(prediction)),
                None => documents.push(self.show_document(saved, document.as_deref())),
            }
        }
        Ok((documents, predictions))
    }

    fn show_document(&self, saved: &Saved, document: Option<&RawDocument>) -> StoredDocument {
        let bytes = document.map(|document| document.as_bytes().len());
        let shown = document.filter(|document| document.as_bytes().len() <= MAX_SHOWN);
        StoredDocument {
            node: self.version.version.nodes[saved.node].name.to_string(),
            collection: saved.collection.clone(),
            id: saved.id.clone().into_relaxed_extjson(),
            document: shown.and_then(|document| RawValue::from_string(to_json(document)).ok()),
            bytes,
        }
    }
}

fn show_point(measurement: &'static str, point: StoredPoint) -> Point {
    let value = |value: Value<'static>| match value {
        Value::Text(text) => text.into_owned().into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Bool(truth) => truth.into(),
    };
    Point {
        measurement,
        time: Moment::from_nanos(point.time),
        tags: point.tags,
        fields: point.fields.into_iter().map(|(name, field)| (name, value(field))).collect(),
    }
}
