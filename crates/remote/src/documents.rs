//! Documents, embedded or remote.

use crate::{DocumentStream, Error, Mongo};
use bson::{Bson, Document};
use futures::{StreamExt as _, TryStreamExt as _};
use krt_store::{FindLimits, Store};

/// A store of documents, and so of predictions. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Documents {
    /// On this machine.
    Embedded(Store),
    /// In MongoDB.
    Mongo(Mongo),
}

impl Documents {
    /// Saves a document and returns its `_id`, which is added where missing.
    ///
    /// Once this returns, the store has confirmed the document.
    pub async fn save(&self, collection: &str, document: Document) -> Result<Bson, Error> {
        match self {
            Self::Embedded(store) => Ok(store.save(collection, document).await?),
            Self::Mongo(mongo) => mongo.save(collection, document).await,
        }
    }

    /// The documents of a collection that a query matches.
    pub async fn find(&self, collection: &str, query: Document) -> Result<DocumentStream, Error> {
        match self {
            Self::Embedded(store) => {
                let found = store.reader().find(collection, &query, FindLimits::default())?;
                Ok(found.map_err(Error::from).boxed())
            }
            Self::Mongo(mongo) => mongo.find(collection, query).await,
        }
    }
}
