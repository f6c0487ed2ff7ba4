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
use krt_model::name::Name;
use krt_registry::Moment;
use krt_store::{
    Ending, FindLimits, HopEnding, PREDICTIONS, PointFilter, Request, RequestFilter, RequestOrder, Saved,
    StoredPoint, Value, to_json,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// How many of a request's log records are told.
const LOGS: usize = 1000;
/// How many of its points of a measurement are told.
const POINTS: usize = 200;
/// The longest place in a list, bytes.
const MAX_CURSOR: usize = 128;
/// The largest document that is told whole, bytes.
const MAX_SHOWN: usize = 64 << 10;
/// Measurements that name the request.
const AUTOMATIC: [&str; 2] = ["node_elapsed_time", "workflow_elapsed_time"];
/// How long after a request's end its points may have been measured, nanoseconds.
const AFTER: i64 = 1_000_000_000;

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
    ending: &'static str,
    error: Option<String>,
    request_bytes: usize,
    answer_bytes: Option<usize>,
    early_reply: bool,
    hops: Vec<Hop>,
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

const ENDINGS: [(Ending, &str); 4] = [
    (Ending::Answered, "answered"),
    (Ending::Failed, "failed"),
    (Ending::Left, "left"),
    (Ending::Working, "working"),
];

fn parse_ending(text: &str) -> Option<Ending> {
    ENDINGS.into_iter().find(|(_, word)| *word == text).map(|(ending, _)| ending)
}

fn word(ending: Ending) -> &'static str {
    ENDINGS.into_iter().find(|(other, _)| *other == ending).map_or("", |(_, word)| word)
}

fn parse_order(text: &str) -> Option<RequestOrder> {
    match text {
        "latest" => Some(RequestOrder::Latest),
        "slowest" => Some(RequestOrder::Slowest),
        _ => None,
    }
}

/// A place in a list: the number it is ordered by, and the request's id.
fn parse_cursor(text: &str) -> Option<(i64, String)> {
    let (number, id) = text.split_once('.').filter(|_| text.len() <= MAX_CURSOR)?;
    Some((number.parse::<u64>().ok()?.try_into().unwrap_or(i64::MAX), id.to_owned()))
}

impl From<Request<'static>> for Shown {
    fn from(request: Request<'static>) -> Self {
        Self {
            start: Moment::from_nanos(request.start),
            elapsed_ms: millis(request.elapsed),
            ending: word(request.ending),
            error: request.error.map(Into::into),
            request_bytes: request.request_bytes,
            answer_bytes: request.answer_bytes,
            early_reply: request.early,
            hops: request.hops.into_iter().map(Hop::from).collect(),
            id: request.id.into(),
            version: request.version.into(),
            workflow: request.workflow.into(),
        }
    }
}

impl From<krt_store::Hop<'static>> for Hop {
    fn from(hop: krt_store::Hop<'static>) -> Self {
        let between = |from: i64, to: i64| to.saturating_sub(from) as f64 / 1e6;
        let serialise_ms = millis(hop.written);
        Self {
            node: hop.node.into(),
            position: hop.position,
            start_ms: between(0, hop.start),
            waiting_ms: (between(hop.posted, hop.start) - serialise_ms).max(0.0),
            serialise_ms,
            handler_ms: between(hop.start, hop.end),
            deserialise_ms: millis(hop.read),
            outcome: match hop.ending {
                HopEnding::Returned => "ok",
                HopEnding::Raised => "error",
                HopEnding::Lost => "died",
            },
        }
    }
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

pub(super) async fn list(
    State(app): State<App>,
    OfRuntime(runtime): OfRuntime,
    query: Query,
) -> Result<Told<Page>, Refusal> {
    let site = app.house().site(&runtime).await?;
    let text = |name: Option<Name>| name.map(|name| name.to_string());
    let filter = RequestFilter {
        version: text(query.name("version")?),
        workflow: text(query.name("workflow")?),
        ending: query.with("ending", parse_ending)?,
        after: query.with("cursor", parse_cursor)?,
    };
    let order = query.with("order", parse_order)?.unwrap_or_default();
    let limit = query.limit(500, 100)?;
    // Those in work first: one that ends meanwhile is then found in the store.
    let engines = app.house().engines(&runtime);
    let working: Vec<_> = engines.iter().flat_map(|engine| engine.flow().journeys().working()).collect();
    site.store.flush().await.map_err(crate::house::Error::from)?;
    let wanted = filter.clone();
    let read = app.house().read(&runtime, move |store| {
        let reader = store.reader();
        Ok((reader.requests(&wanted, order, limit + 1)?, reader.count_requests()?))
    });
    let (stored, kept) = read.await?;
    let kept = kept + working.len();
    let (requests, next) = merged(stored, working, &filter, order, limit);
    Ok(told::ok(Page { requests: requests.into_iter().map(Shown::from).collect(), next, kept }))
}

/// A page of those that are stored, of which there is one more than fits if there are, and of those in work. One
/// that ended meanwhile is among both.
fn merged(
    stored: Vec<Request<'static>>,
    working: Vec<Request<'static>>,
    filter: &RequestFilter,
    order: RequestOrder,
    limit: usize,
) -> (Vec<Request<'static>>, Option<String>) {
    let known: HashSet<_> = stored.iter().map(|request| request.id.clone()).collect();
    let working = working.into_iter().filter(|one| !known.contains(&one.id) && filter.fits(order, one));
    let mut requests: Vec<_> = stored.into_iter().chain(working).collect();
    requests.sort_by_cached_key(|request| Reverse(order.key(request)));
    let more = requests.len() > limit;
    requests.truncate(limit);
    let next = requests.last().filter(|_| more).map(|last| {
        let (number, id) = order.key(last);
        format!("{number}.{id}")
    });
    (requests, next)
}

pub(super) async fn show(
    State(app): State<App>,
    OfRuntime(runtime): OfRuntime,
    Last(id): Last,
) -> Result<Told<Detail>, Refusal> {
    let site = app.house().site(&runtime).await?;
    let engines = app.house().engines(&runtime);
    let working = engines.iter().find_map(|engine| engine.flow().journeys().find(&id));
    // What is about to be written belongs to it, too.
    site.store.flush().await.map_err(crate::house::Error::from)?;
    let found = match working {
        Some(request) => Some(request),
        None => {
            let id = id.clone();
            app.house().read(&runtime, move |store| store.reader().request(&id)).await?
        }
    };
    let request = found.ok_or_else(|| Refusal::missing("such request among those that are kept"))?;
    let logs = logs::of_request(&app, &runtime, &id, LOGS).await?;
    let waited = i64::try_from(request.elapsed).unwrap_or(i64::MAX);
    let (start, end) = (request.start, request.start.saturating_add(waited).saturating_add(AFTER));
    let points = app.house().read(&runtime, move |store| {
        let mut points = Vec::new();
        for measurement in AUTOMATIC {
            let filter = PointFilter {
                measurement: measurement.to_owned(),
                from: Some(start),
                to: Some(end),
                ..PointFilter::default()
            };
            let found = store.reader().points_that_name(&filter, "tracking_id", &id, POINTS)?;
            points.extend(found.into_iter().map(|point| show_point(measurement, point)));
        }
        Ok(points)
    });
    let points = points.await?;
    let (documents, predictions) = saved_by(&request, &site).await?;
    let saved = request.saves;
    Ok(told::ok(Detail { request: request.into(), logs, points, documents, predictions, saved }))
}

/// What a request's handlers saved, as far as it is named.
async fn saved_by(
    request: &Request<'_>,
    site: &Site,
) -> Result<(Vec<StoredDocument>, Vec<Prediction>), Refusal> {
    let (mut documents, mut predictions) = (Vec::new(), Vec::new());
    for saved in &request.saved {
        let one = FindLimits { limit: Some(1), ..FindLimits::default() };
        let mut found = predictions::find(site, &saved.collection, doc! { "_id": &saved.id }, one).await?;
        let document = found.try_next().await?;
        match document.as_ref().filter(|_| saved.collection == PREDICTIONS) {
            Some(prediction) => predictions.extend(Prediction::of(prediction)),
            None => documents.push(show_document(saved, document.as_deref())),
        }
    }
    Ok((documents, predictions))
}

fn show_document(saved: &Saved<'_>, document: Option<&RawDocument>) -> StoredDocument {
    let bytes = document.map(|document| document.as_bytes().len());
    let shown = document.filter(|document| document.as_bytes().len() <= MAX_SHOWN);
    StoredDocument {
        node: saved.node.to_string(),
        collection: saved.collection.to_string(),
        id: saved.id.clone().into_relaxed_extjson(),
        document: shown.and_then(|document| RawValue::from_string(to_json(document)).ok()),
        bytes,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str, start: i64, ending: Ending) -> Request<'static> {
        let elapsed = 100 - start.unsigned_abs();
        Request { id: id.to_owned().into(), start, elapsed, ending, ..Request::default() }
    }

    #[test]
    fn a_page_has_what_is_stored_and_what_is_in_work_once() {
        let stored = || {
            [(5, "e"), (3, "c"), (2, "b")].map(|(start, id)| request(id, start, Ending::Answered)).to_vec()
        };
        let working =
            || [(5, "e"), (4, "d"), (1, "a")].map(|(start, id)| request(id, start, Ending::Working)).to_vec();
        let all = RequestFilter::default();
        let after = |text: &str| RequestFilter { after: parse_cursor(text), ..RequestFilter::default() };
        let rows = [
            (all.clone(), RequestOrder::Latest, 10, "edcba", None),
            (all.clone(), RequestOrder::Latest, 2, "ed", Some("4.d")),
            (all, RequestOrder::Slowest, 10, "abcde", None),
            (after("4.d"), RequestOrder::Latest, 10, "cba", None),
            (
                RequestFilter { ending: Some(Ending::Working), ..after("4.d") },
                RequestOrder::Latest,
                9,
                "a",
                None,
            ),
        ];
        for (filter, order, limit, ids, next) in rows {
            // The store has looked at the filter itself.
            let stored = stored().into_iter().filter(|one| filter.fits(order, one)).collect();
            let (page, found) = merged(stored, working(), &filter, order, limit);
            let found = (page.iter().map(|one| &*one.id).collect::<String>(), found);
            assert_eq!(found, (ids.to_owned(), next.map(str::to_owned)), "{filter:?} {order:?}");
        }
    }

    #[test]
    fn cursors() {
        assert_eq!(parse_cursor("5.e"), Some((5, "e".to_owned())));
        assert_eq!(parse_cursor("9999999999999999999.e"), Some((i64::MAX, "e".to_owned())));
        for bad in ["", "5", ".e", "-1.e", "x.e"] {
            assert_eq!(parse_cursor(bad), None, "{bad}");
        }
    }
}
