//! Documents that runners of KRT v1 save by a message (docs/reference/krt-v1.md#documents-over-nats).

use bson::Bson;
use bytes::Bytes;
use krt_broker::compression;
use krt_model::hint;
use krt_remote::Documents;
use krt_store::parse_document;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Such a message.
#[derive(Debug, Deserialize)]
struct SaveRequest<'a> {
    coll: String,
    #[serde(borrow)]
    doc: &'a RawValue,
}

/// Saves the document in a message of at most `limit` bytes, decompressed. Returns its collection and its
/// `_id`, or the reason for the failure.
pub(crate) async fn save(documents: &Documents, body: Bytes, limit: usize) -> Result<(String, Bson), String> {
    let text = compression::unpack(body, limit).map_err(|error| hint::messages(&error))?;
    let request: SaveRequest<'_> = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let document = parse_document(request.doc.get()).map_err(|error| hint::messages(&error))?;
    let id = documents.save(&request.coll, document).await.map_err(|error| hint::chain(&error))?;
    Ok((request.coll, id))
}

/// Returns the reply to the runner.
pub(crate) fn answer(success: bool) -> Vec<u8> {
    format!("{{\"success\": {success}}}").into_bytes()
}
