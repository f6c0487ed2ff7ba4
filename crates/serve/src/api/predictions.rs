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
};
use axum::extract::State;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use futures::{StreamExt as _, TryStreamExt as _, future, stream::BoxStream};
use krt_api::prediction::{Prediction, PredictionPage, PredictionSummary};
use krt_registry::Timestamp;
use krt_remote::{Documents, Stores};
use krt_store::{
    Filter, FindLimits, MAX_UPDATES, PREDICTIONS, PredictionFilter, PredictionUpdates, UPDATES, to_json,
};
use std::time::Duration;

/// The most predictions in a summary.
const MAX_PREDICTIONS: usize = 500_000;
/// The longest label in a query, in characters.
const MAX_LABEL: usize = 255;

const NEWEST: FindLimits = FindLimits { skip: 0, limit: None, newest_first: true };

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
    stores: &Stores,
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
    if let Some(text) = query.short("predicted", MAX_LABEL)? {
        wanted.insert("predictedValue", text);
    }
    let truth = query.short("true_value", MAX_LABEL)?;
    let known = |text: &str| ScoreError::parse(text).map(|_| text.to_owned());
    if let Some(error) = query.with("error", known)? {
        wanted.insert("error", error);
    }
    let (limit, skip) = (query.limit(500, 100)?, query.parse::<u64>("cursor")?.unwrap_or_default());
    let stores = app.backend().stores(&runtime).await?;
    let (updates, _) = updates(&stores, Document::new()).await?;
    let found = match truth {
        // A true value that came later decides, so the store cannot search for it.
        Some(truth) if !updates.is_empty() => {
            let all = find(&stores, PREDICTIONS, wanted, NEWEST).await?.map_ok(|one| updates.join(one));
            let fitting = all.try_filter(|one| future::ready(text(one, "trueValue") == truth));
            let page = fitting.skip(usize::try_from(skip).unwrap_or(usize::MAX)).take(limit);
            page.try_collect::<Vec<_>>().await?
        }
        truth => {
            if let Some(truth) = truth {
                wanted.insert("trueValue", truth);
            }
            let limits = FindLimits { skip, limit: Some(limit as u64), ..NEWEST };
            let page = find(&stores, PREDICTIONS, wanted, limits).await?;
            page.map_ok(|one| updates.join(one)).try_collect().await?
        }
    };
    let next = (found.len() == limit).then(|| (skip + limit as u64).to_string());
    let predictions = found.iter().filter_map(|document| shown(document)).collect();
    Ok(response::ok(PredictionPage { predictions, next }))
}

/// The true values that came later, which match a query, and whether there were more than [`MAX_UPDATES`].
pub(super) async fn updates(stores: &Stores, query: Document) -> Result<(PredictionUpdates, bool), Error> {
    let limits = FindLimits { limit: Some(MAX_UPDATES), ..NEWEST };
    let mut found = find(stores, UPDATES, query, limits).await?;
    let (mut updates, mut count) = (PredictionUpdates::default(), 0);
    while let Some(update) = found.try_next().await? {
        count += 1;
        updates.add(&update);
    }
    Ok((updates, count == MAX_UPDATES))
}

pub(super) async fn summary(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
    query: Query,
) -> Result<JsonResponse<PredictionSummary>, Refusal> {
    let wanted = filter(&query)?;
    let every = query.number("every_seconds", 1, 31_536_000)?.map(Duration::from_secs);
    let stores = app.backend().stores(&runtime).await?;
    let (mut updates, more_updates) = updates(&stores, Document::new()).await?;
    let (mut tally, mut count) = (Tally::default(), 0);
    // Predictions outside of the span match updates, too.
    let filter = Filter::parse(&wanted).map_err(|error| Error::from(krt_store::Error::from(error)))?;
    let searched = if updates.is_empty() { wanted } else { Document::new() };
    let mut found = find(&stores, PREDICTIONS, searched, NEWEST).await?;
    while let Some(document) = found.try_next().await? {
        updates.mark(&document);
        if count == MAX_PREDICTIONS || !filter.matches(&document) {
            continue;
        }
        count += 1;
        if let Some(judged) = judged(&updates.join(document)) {
            tally.add(&judged);
        }
    }
    let truncated = more_updates || count == MAX_PREDICTIONS;
    Ok(response::ok(tally.finish(every, updates.unmatched(), truncated)))
}

fn text<'a>(document: &'a RawDocument, name: &str) -> &'a str {
    document.get_str(name).unwrap_or_default()
}

/// A date of a prediction: text, or a date when another tool saved it.
fn time(document: &RawDocument, name: &str) -> Option<Timestamp> {
    match document.get_str(name) {
        Ok(text) => text.parse().ok(),
        Err(_) => document.get_datetime(name).ok().map(|date| Timestamp(date.timestamp_millis() * 1000)),
    }
}

fn nonempty<'a>(document: &'a RawDocument, name: &str) -> Option<&'a str> {
    Some(text(document, name)).filter(|text| !text.is_empty())
}

fn judged(document: &RawDocument) -> Option<ScoredPrediction<'_>> {
    Some(ScoredPrediction {
        time: time(document, "date")?,
        predicted: text(document, "predictedValue"),
        actual: nonempty(document, "trueValue"),
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
        time: wire::time(time(document, "date")?),
        version: text(document, "versionName").to_owned(),
        request: nonempty(document, "requestId").map(str::to_owned),
        predicted: text(document, "predictedValue").to_owned(),
        true_value: text(document, "trueValue").to_owned(),
        updated: time(document, "updated").map(wire::time),
        error: nonempty(document, "error").map(str::to_owned),
        extra: extra.get("extra").cloned().unwrap_or_default(),
    })
}
