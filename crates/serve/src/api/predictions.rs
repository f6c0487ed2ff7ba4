//! Lists predictions, and scores them.

use super::{
    App,
    read::{Query, RuntimePath},
    refusal::Refusal,
    response::{self, JsonResponse},
    wire,
};
use crate::{
    Error,
    scores::{ScoreError, ScoredPrediction, Tally},
    team::RuntimeStores,
};
use axum::extract::State;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use krt_api::prediction::{Prediction, PredictionPage, PredictionSummary};
use krt_registry::Timestamp;
use krt_remote::Documents;
use krt_store::{FindLimits, PREDICTIONS, PredictionFilter, to_json};
use std::time::Duration;

/// The most predictions in a summary.
const MAX_PREDICTIONS: usize = 500_000;
/// The longest label in a query, in characters.
const MAX_LABEL: usize = 255;

type DocumentStream = BoxStream<'static, Result<RawDocumentBuf, Error>>;

fn filter(query: &Query) -> Result<Document, Refusal> {
    let span = query.span()?;
    let filter = PredictionFilter {
        version: query.name("version")?.map(|name| name.to_string()),
        from: span.from.map(Timestamp::nanos),
        to: span.to.map(Timestamp::nanos),
    };
    Ok(filter.query())
}

/// The documents of a collection that match a query, newest first where the store can sort.
pub(super) async fn find(
    stores: &RuntimeStores,
    collection: &str,
    query: Document,
    limits: FindLimits,
) -> Result<DocumentStream, Error> {
    Ok(match &stores.documents {
        Documents::Embedded(store) => {
            store.reader().find(collection, &query, limits)?.map_err(Error::from).boxed()
        }
        Documents::Mongo(_) => {
            let found = stores.documents.find(collection, query).await?.map_err(Error::from);
            let skip = usize::try_from(limits.skip).unwrap_or(usize::MAX);
            let limit = limits.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
            found.skip(skip).take(limit).boxed()
        }
    })
}

pub(super) async fn list(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
    query: Query,
) -> Result<JsonResponse<PredictionPage>, Refusal> {
    let mut wanted = filter(&query)?;
    for (name, field) in [("predicted", "predictedValue"), ("true_value", "trueValue")] {
        if let Some(text) = query.short(name, MAX_LABEL)? {
            wanted.insert(field, text);
        }
    }
    let known = |text: &str| ScoreError::parse(text).map(|_| text.to_owned());
    if let Some(error) = query.with("error", known)? {
        wanted.insert("error", error);
    }
    let (limit, skip) = (query.limit(500, 100)?, query.parse::<u64>("cursor")?.unwrap_or_default());
    let stores = app.backend().stores(&runtime).await?;
    let limits = FindLimits { skip, limit: Some(limit as u64), newest_first: true };
    let found: Vec<_> = find(&stores, PREDICTIONS, wanted, limits).await?.try_collect().await?;
    let next = (found.len() == limit).then(|| (skip + limit as u64).to_string());
    let predictions = found.iter().filter_map(|document| shown(document)).collect();
    Ok(response::ok(PredictionPage { predictions, next }))
}

pub(super) async fn summary(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
    query: Query,
) -> Result<JsonResponse<PredictionSummary>, Refusal> {
    let wanted = filter(&query)?;
    let every = query.number("every_seconds", 1, 31_536_000)?.map(Duration::from_secs);
    let stores = app.backend().stores(&runtime).await?;
    let limits =
        FindLimits { limit: Some(MAX_PREDICTIONS as u64), newest_first: true, ..FindLimits::default() };
    let mut found = find(&stores, PREDICTIONS, wanted, limits).await?;
    let (mut tally, mut count) = (Tally::default(), 0);
    while let Some(document) = found.try_next().await? {
        count += 1;
        if let Some(judged) = judged(&document) {
            tally.add(&judged);
        }
    }
    Ok(response::ok(tally.finish(every, count == MAX_PREDICTIONS)))
}

fn text<'a>(document: &'a RawDocument, name: &str) -> &'a str {
    document.get_str(name).unwrap_or_default()
}

/// The date of a prediction: text, or a date when another tool saved it.
fn time(document: &RawDocument) -> Option<Timestamp> {
    match document.get_str("date") {
        Ok(text) => text.parse().ok(),
        Err(_) => document.get_datetime("date").ok().map(|date| Timestamp(date.timestamp_millis() * 1000)),
    }
}

fn judged(document: &RawDocument) -> Option<ScoredPrediction<'_>> {
    Some(ScoredPrediction {
        time: time(document)?,
        predicted: text(document, "predictedValue"),
        actual: text(document, "trueValue"),
        error: ScoreError::parse(text(document, "error")),
    })
}

/// The prediction as saved; `None` without a date.
pub(super) fn shown(document: &RawDocument) -> Option<Prediction> {
    let whole: Document = document.try_into().ok()?;
    let id = match whole.get("_id") {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(Bson::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let extra = whole.get("extra").cloned().unwrap_or(Bson::Null);
    let extra = RawDocumentBuf::try_from(&doc! { "extra": extra }).ok()?;
    let extra: serde_json::Value = serde_json::from_str(&to_json(&extra)).ok()?;
    Some(Prediction {
        id,
        time: wire::time(time(document)?),
        version: text(document, "versionName").to_owned(),
        predicted: text(document, "predictedValue").to_owned(),
        true_value: text(document, "trueValue").to_owned(),
        error: Some(text(document, "error")).filter(|error| !error.is_empty()).map(str::to_owned),
        extra: extra.get("extra").cloned().unwrap_or_default(),
    })
}
