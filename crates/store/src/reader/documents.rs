//! Collections and searches.

use super::Reader;
use crate::{
    documents::find::{FindLimits, Scan},
    error::Error,
    filter::Filter,
};
use bson::{Document, RawDocumentBuf};
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
