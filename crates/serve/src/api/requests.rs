//! The latest, slowest and failed requests, with their hops.

use super::{
    App, logs, predictions,
    read::{LastSegment, Query, RuntimePath},
    refusal::Refusal,
    response::{self, JsonResponse},
};
use axum::extract::State;
use bson::{RawDocument, doc};
use futures::TryStreamExt as _;
use krt_api::{
    Time,
    prediction::Prediction,
    request::{Request, RequestDetail, RequestPage, StoredDocument, StoredPoint},
};
use krt_model::{
    name::Name,
    request::{Ending, RequestRecord, Saved},
};
use krt_remote::Stores;
use krt_store::{
    FindLimits, PREDICTIONS, PointFilter, PredictionUpdates, RequestFilter, RequestOrder, Value, to_json,
};
use serde_json::value::RawValue;
use std::{cmp::Reverse, collections::HashSet};

/// The most log records shown of a request.
const MAX_LOGS: usize = 1000;
/// The most points shown of a measurement of a request.
const MAX_POINTS: usize = 200;
/// The longest cursor, in bytes.
const MAX_CURSOR: usize = 128;
/// The largest document shown whole, in bytes.
const MAX_SHOWN: usize = 64 << 10;
/// The measurements that carry the request's id.
const AUTOMATIC: [&str; 2] = ["node_elapsed_time", "workflow_elapsed_time"];
/// How long after a request's end its points may be measured, in nanoseconds.
const AFTER_END: i64 = 1_000_000_000;

fn parse_order(text: &str) -> Option<RequestOrder> {
    match text {
        "latest" => Some(RequestOrder::Latest),
        "slowest" => Some(RequestOrder::Slowest),
        _ => None,
    }
}

/// A cursor: the number that orders the list, and the request's id.
fn parse_cursor(text: &str) -> Option<(i64, String)> {
    let (number, id) = text.split_once('.').filter(|_| text.len() <= MAX_CURSOR)?;
    Some((number.parse::<u64>().ok()?.try_into().unwrap_or(i64::MAX), id.to_owned()))
}

pub(super) async fn list(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
    query: Query,
) -> Result<JsonResponse<RequestPage>, Refusal> {
    let stores = app.backend().stores(&runtime).await?;
    let text = |name: Option<Name>| name.map(|name| name.to_string());
    let filter = RequestFilter {
        version: text(query.name("version")?),
        workflow: text(query.name("workflow")?),
        ending: query.with("ending", Ending::parse)?,
        after: query.with("cursor", parse_cursor)?,
    };
    let order = query.with("order", parse_order)?.unwrap_or_default();
    let limit = query.limit(500, 100)?;
    // Requests in flight are listed first: one that ends meanwhile is then found in the store.
    let engines = app.backend().engines(&runtime);
    let in_flight: Vec<_> =
        engines.iter().flat_map(|engine| engine.flow().request_records().in_flight()).collect();
    stores.store.flush().await.map_err(crate::Error::from)?;
    let wanted = filter.clone();
    let read = app.backend().read(&runtime, move |store| {
        let reader = store.reader();
        Ok((reader.requests(&wanted, order, limit + 1)?, reader.count_requests()?))
    });
    let (stored, kept) = read.await?;
    let kept = kept + in_flight.len();
    let (requests, next) = merged(stored, in_flight, &filter, order, limit);
    Ok(response::ok(RequestPage { requests: requests.into_iter().map(Request::from).collect(), next, kept }))
}

/// Merges a page of stored requests, with one more than fits if there are more, and the requests in flight. A
/// request that ended meanwhile is in both.
fn merged(
    stored: Vec<RequestRecord>,
    in_flight: Vec<RequestRecord>,
    filter: &RequestFilter,
    order: RequestOrder,
    limit: usize,
) -> (Vec<RequestRecord>, Option<String>) {
    let known: HashSet<_> = stored.iter().map(|request| request.id.clone()).collect();
    let in_flight = in_flight.into_iter().filter(|one| !known.contains(&one.id) && filter.fits(order, one));
    let mut requests: Vec<_> = stored.into_iter().chain(in_flight).collect();
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
    RuntimePath(runtime): RuntimePath,
    LastSegment(id): LastSegment,
) -> Result<JsonResponse<RequestDetail>, Refusal> {
    let stores = app.backend().stores(&runtime).await?;
    let engines = app.backend().engines(&runtime);
    let in_flight = engines.iter().find_map(|engine| engine.flow().request_records().find(&id));
    // Records that wait to be written belong to it, too.
    stores.store.flush().await.map_err(crate::Error::from)?;
    let found = match in_flight {
        Some(request) => Some(request),
        None => {
            let id = id.clone();
            app.backend().read(&runtime, move |store| store.reader().request(&id)).await?
        }
    };
    let request = found.ok_or_else(|| Refusal::missing("such request among those that are kept"))?;
    let logs = logs::of_request(&app, &runtime, &id, MAX_LOGS).await?;
    let waited = i64::try_from(request.elapsed).unwrap_or(i64::MAX);
    let (start, end) = (request.start, request.start.saturating_add(waited).saturating_add(AFTER_END));
    let points = app.backend().read(&runtime, move |store| {
        let mut points = Vec::new();
        for measurement in AUTOMATIC {
            let filter = PointFilter {
                measurement: measurement.to_owned(),
                from: Some(start),
                to: Some(end),
                ..PointFilter::default()
            };
            let found = store.reader().points_that_name(&filter, "tracking_id", &id, MAX_POINTS)?;
            points.extend(found.into_iter().map(|point| show_point(measurement, point)));
        }
        Ok(points)
    });
    let points = points.await?;
    let (documents, predictions) = saved_by(&request, &stores).await?;
    let saved = request.saves;
    Ok(response::ok(RequestDetail { request: request.into(), logs, points, documents, predictions, saved }))
}

/// The documents that a request's handlers saved, where they are named.
async fn saved_by(
    request: &RequestRecord,
    stores: &Stores,
) -> Result<(Vec<StoredDocument>, Vec<Prediction>), Refusal> {
    let (mut documents, mut predictions) = (Vec::new(), Vec::new());
    let predicted = request.saved.iter().any(|saved| saved.collection == PREDICTIONS);
    let updates = match predicted {
        true => predictions::updates(stores, doc! { "requestId": &*request.id }).await?.0,
        false => PredictionUpdates::default(),
    };
    for saved in &request.saved {
        let one = FindLimits { limit: Some(1), ..FindLimits::default() };
        let mut found = predictions::find(stores, &saved.collection, doc! { "_id": &saved.id }, one).await?;
        match found.try_next().await? {
            Some(prediction) if saved.collection == PREDICTIONS => {
                predictions.extend(predictions::shown(&updates.join(prediction)));
            }
            document => documents.push(show_document(saved, document.as_deref())),
        }
    }
    Ok((documents, predictions))
}

fn show_document(saved: &Saved, document: Option<&RawDocument>) -> StoredDocument {
    let bytes = document.map(|document| document.as_bytes().len());
    let shown = document.filter(|document| document.as_bytes().len() <= MAX_SHOWN);
    StoredDocument {
        node: saved.node.to_string(),
        collection: saved.collection.clone(),
        id: saved.id.clone().into_relaxed_extjson(),
        document: shown.and_then(|document| RawValue::from_string(to_json(document)).ok()),
        bytes,
    }
}

fn show_point(measurement: &str, point: krt_store::StoredPoint) -> StoredPoint {
    let value = |value: Value<'static>| match value {
        Value::Text(text) => text.into_owned().into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Bool(truth) => truth.into(),
    };
    StoredPoint {
        measurement: measurement.to_owned(),
        time: Time::from_nanos(point.time),
        tags: point.tags.as_ref().clone(),
        fields: point.fields.into_iter().map(|(name, field)| (name, value(field))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str, start: i64, ending: Ending) -> RequestRecord {
        let (elapsed, name) = (100 - start.unsigned_abs(), || Name::parse("v1").unwrap());
        RequestRecord { elapsed, ending, ..RequestRecord::new(id.into(), name(), name(), start) }
    }

    #[test]
    fn pages_have_stored_and_running_requests_once() {
        let stored = || {
            [(5, "e"), (3, "c"), (2, "b")].map(|(start, id)| request(id, start, Ending::Answered)).to_vec()
        };
        let in_flight = || {
            [(5, "e"), (4, "d"), (1, "a")].map(|(start, id)| request(id, start, Ending::InFlight)).to_vec()
        };
        let all = RequestFilter::default();
        let after = |text: &str| RequestFilter { after: parse_cursor(text), ..RequestFilter::default() };
        let rows = [
            (all.clone(), RequestOrder::Latest, 10, "edcba", None),
            (all.clone(), RequestOrder::Latest, 2, "ed", Some("4.d")),
            (all, RequestOrder::Slowest, 10, "abcde", None),
            (after("4.d"), RequestOrder::Latest, 10, "cba", None),
            (
                RequestFilter { ending: Some(Ending::InFlight), ..after("4.d") },
                RequestOrder::Latest,
                9,
                "a",
                None,
            ),
        ];
        for (filter, order, limit, ids, next) in rows {
            // The store applies the filter itself.
            let stored = stored().into_iter().filter(|one| filter.fits(order, one)).collect();
            let (page, found) = merged(stored, in_flight(), &filter, order, limit);
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
