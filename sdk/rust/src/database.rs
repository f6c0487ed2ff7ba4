//! Documents.

use crate::{
    Result,
    context::Scope,
    contract::ContextError,
    frame::{MAX_OTHER, MAX_SAVE, WorkerFrame},
};
use bson::Bson;
use serde::{Serialize, de::DeserializeOwned};

/// Saves and finds documents in the version's own database.
///
/// A document is anything that serde serializes as a map, such as a struct or [`bson::doc!`], whose dates,
/// ids and bytes are BSON's.
#[derive(Clone, Copy)]
pub struct Database<'a>(pub(crate) &'a Scope);

impl Database<'_> {
    /// Saves a document, and returns once the store has confirmed it.
    pub async fn save(self, collection: &str, document: impl Serialize) -> Result<()> {
        ContextError::require("db.save", "collection", collection)?;
        let body = encode(&document).map_err(|reason| ContextError::Unfit { reason })?;
        let Bson::Document(_) = &body else {
            return Err(ContextError::NotDocument { value: body.to_string() }.into());
        };
        Ok(self.store(collection, body).await.map_err(|reason| ContextError::NotSaved { reason })?)
    }

    /// The documents that match a query in MongoDB's language.
    pub async fn find<T: DeserializeOwned>(self, collection: &str, query: impl Serialize) -> Result<Vec<T>> {
        ContextError::require("db.find", "collection", collection)?;
        let failed = |reason| ContextError::NotFound { reason };
        let query = encode(&query).map_err(failed)?;
        if !matches!(&query, Bson::Document(query) if !query.is_empty()) {
            return Err(ContextError::NotQuery { value: query.to_string() }.into());
        }
        let body = query.into_relaxed_extjson().to_string();
        let found = self.0.call(WorkerFrame::Find, MAX_OTHER, collection, ("query", &body)).await;
        let found = found.map_err(failed)?;
        Ok(found.iter().map(|body| decode(body)).collect::<Result<_, String>>().map_err(failed)?)
    }

    /// Saves a value that is a document.
    pub(crate) async fn store(self, collection: &str, document: Bson) -> Result<(), String> {
        let body = document.into_relaxed_extjson().to_string();
        self.0.call(WorkerFrame::Save, MAX_SAVE, collection, ("document", &body)).await.map(drop)
    }
}

fn encode(value: &impl Serialize) -> Result<Bson, String> {
    bson::serialize_to_bson(value).map_err(|error| error.to_string())
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let document = Bson::try_from(value).map_err(|error| error.to_string())?;
    bson::deserialize_from_bson(document).map_err(|error| error.to_string())
}
