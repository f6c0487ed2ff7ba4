//! Collections, searches, predictions.

use super::Reader;
use crate::{
    documents::find::{FindLimits, Scan},
    error::Error,
    filter::Filter,
};
use bson::{DateTime, Document, RawDocumentBuf};
use futures::stream::Stream;
use std::sync::Arc;

/// A collection of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// Its number of documents.
    pub documents: u64,
}

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
    /// The filter as a query over [`PREDICTIONS`](crate::PREDICTIONS).
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

impl Reader {
    /// The collections, by name.
    pub fn collections(&self) -> Result<Vec<Collection>, Error> {
        let sql = "SELECT name, (SELECT count(*) FROM document WHERE collection = collection.id) \
                   FROM collection ORDER BY name";
        self.documents.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let collections = statement.query_map([], |row| {
                let documents: i64 = row.get(1)?;
                Ok(Collection { name: row.get(0)?, documents: documents.unsigned_abs() })
            })?;
            collections.collect()
        })
    }

    /// The documents of a collection that match a query, in the order of saving.
    ///
    /// Needs a tokio runtime: the stream reads the database on its blocking threads, one batch per poll.
    /// Dropping the stream ends the search.
    pub fn find(
        &self,
        collection: &str,
        query: &Document,
        limits: FindLimits,
    ) -> Result<impl Stream<Item = Result<RawDocumentBuf, Error>> + Send + use<>, Error> {
        let filter = Filter::parse(query)?;
        Ok(Scan::new(Arc::clone(&self.documents), collection, filter, limits).into_stream())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
