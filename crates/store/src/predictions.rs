//! Predictions, and true values that came after them.

use bson::{Bson, DateTime, Document, RawDocument, RawDocumentBuf};
use std::collections::{HashMap, HashSet};

/// The collection that predictions are documents of (docs/reference/krt-v1.md#predictions).
pub const PREDICTIONS: &str = "classificationMetrics";

/// The collection of true values that came after their predictions (docs/reference/krt-v1.md#predictions).
pub const UPDATES: &str = "classificationMetricsUpdates";

/// The most updates to join, which bounds their memory.
pub const MAX_UPDATES: u64 = 500_000;

/// Selects predictions that match everything that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PredictionFilter {
    /// The name of the predicting version.
    pub version: Option<String>,
    /// From this time on, in nanoseconds since the Unix epoch.
    pub from: Option<i64>,
    /// Before this time.
    pub to: Option<i64>,
}

impl PredictionFilter {
    /// The filter as a query over [`PREDICTIONS`].
    pub fn query(&self) -> Document {
        let mut query = Document::new();
        if let Some(version) = &self.version {
            query.insert("versionName", version);
        }
        let mut date = Document::new();
        if let Some(from) = self.from {
            date.insert("$gte", date_text(from));
        }
        if let Some(to) = self.to {
            date.insert("$lt", date_text(to));
        }
        if !date.is_empty() {
            query.insert("date", date);
        }
        query
    }
}

/// A time in the format of predictions, `2024-01-31T12:00:00.000000Z`, which sorts by time. Rounds up to the
/// next microsecond, as no prediction lies between two.
fn date_text(nanos: i64) -> String {
    let micros = nanos.div_euclid(1000) + i64::from(nanos.rem_euclid(1000) > 0);
    let (second, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let date = DateTime::from_millis(second * 1000).try_to_rfc3339_string().unwrap_or_default();
    format!("{}.{micros:06}Z", date.trim_end_matches('Z'))
}

/// The latest true value for each request, to join with its predictions.
#[derive(Debug, Default)]
pub struct PredictionUpdates {
    latest: HashMap<String, Update>,
    /// The requests without a prediction so far.
    unmatched: HashSet<String>,
}

#[derive(Debug)]
struct Update {
    date: String,
    /// Orders updates of one microsecond.
    id: Option<Bson>,
    truth: String,
}

impl PredictionUpdates {
    /// Adds a document of [`UPDATES`]; ignores one that names no request or no value.
    pub fn add(&mut self, document: &RawDocument) {
        let text = |name| document.get_str(name).ok().filter(|text| !text.is_empty()).map(str::to_owned);
        let (Some(request), Some(truth)) = (text("requestId"), text("trueValue")) else { return };
        let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
        let update = Update { date: text("date").unwrap_or_default(), id, truth };
        if self.latest.get(&request).is_none_or(|earlier| earlier.is_before(&update)) {
            self.unmatched.insert(request.clone());
            self.latest.insert(request, update);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.latest.is_empty()
    }

    /// The prediction, with the true value that came for its request and the `updated` date of that; without an
    /// update, as it is.
    pub fn join(&self, prediction: RawDocumentBuf) -> RawDocumentBuf {
        let Some(update) = self.of(&prediction) else { return prediction };
        let Ok(mut joined) = Document::try_from(&*prediction) else { return prediction };
        joined.insert("trueValue", &update.truth);
        joined.insert("updated", &update.date);
        RawDocumentBuf::try_from(&joined).unwrap_or(prediction)
    }

    fn of(&self, prediction: &RawDocument) -> Option<&Update> {
        self.latest.get(prediction.get_str("requestId").ok()?)
    }

    /// Notes that a prediction exists.
    pub fn mark(&mut self, prediction: &RawDocument) {
        if let Ok(request) = prediction.get_str("requestId") {
            self.unmatched.remove(request);
        }
    }

    /// The number of requests with an update and no prediction, of those that were marked.
    pub fn unmatched(&self) -> u64 {
        self.unmatched.len() as u64
    }
}

impl Update {
    fn is_before(&self, other: &Self) -> bool {
        match self.date.cmp(&other.date) {
            std::cmp::Ordering::Equal => match (&self.id, &other.id) {
                (Some(Bson::ObjectId(id)), Some(Bson::ObjectId(next))) => id < next,
                _ => false,
            },
            order => order.is_lt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{doc, oid::ObjectId};

    #[test]
    fn times_of_predictions() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_700_000_000_123_456_000, "2023-11-14T22:13:20.123456Z"),
            (1_700_000_000_123_456_001, "2023-11-14T22:13:20.123457Z"),
            (-1000, "1969-12-31T23:59:59.999999Z"),
            (-1, "1970-01-01T00:00:00.000000Z"),
        ];
        for (nanos, text) in cases {
            assert_eq!(date_text(nanos), text);
        }
    }

    fn raw(document: &Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(document).unwrap()
    }

    #[test]
    fn the_latest_update_wins_in_any_order() {
        let id = |last: u8| ObjectId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        let update = |last, date: &str, truth: &str| {
            raw(&doc! { "_id": id(last), "requestId": "r-1", "trueValue": truth, "date": date })
        };
        let all = [
            update(3, "2024-01-01", "early"),
            update(1, "2024-01-02", "late"),
            update(2, "2024-01-02", "last"),
        ];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut updates = PredictionUpdates::default();
            order.iter().for_each(|&index| updates.add(&all[index]));
            let joined =
                updates.join(raw(&doc! { "requestId": "r-1", "trueValue": "", "predictedValue": "a" }));
            assert_eq!(joined.get_str("trueValue").ok(), Some("last"), "{order:?}");
            assert_eq!(joined.get_str("updated").ok(), Some("2024-01-02"));
        }
    }

    #[test]
    fn updates_without_a_prediction_are_counted() {
        let mut updates = PredictionUpdates::default();
        for (request, truth) in [("r-1", "a"), ("r-1", "b"), ("r-2", "a"), ("", "a"), ("r-3", "")] {
            updates.add(&raw(&doc! { "requestId": request, "trueValue": truth, "date": "2024" }));
        }
        updates.add(&raw(&doc! { "requestId": 7, "trueValue": "a" }));
        assert_eq!(updates.unmatched(), 2);
        let of_others =
            [doc! { "trueValue": "x" }, doc! { "requestId": "r-9", "trueValue": "x" }].map(|one| raw(&one));
        for prediction in of_others {
            updates.mark(&prediction);
            assert_eq!(updates.join(prediction.clone()), prediction);
        }
        updates.mark(&raw(&doc! { "requestId": "r-2" }));
        assert_eq!(updates.unmatched(), 1);
    }
}
