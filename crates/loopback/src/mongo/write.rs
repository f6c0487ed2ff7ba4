//! Saves documents.

use super::{Shared, arguments::Arguments, error::CommandError, server_info::MAX_BATCH};
use bson::{Bson, Document, doc};
use krt_model::hint;
use krt_store::Error;

/// `insert`: stores each document, or reports why it cannot.
pub(super) async fn insert(
    shared: &Shared,
    database: &str,
    body: &Document,
) -> Result<Document, CommandError> {
    let arguments = Arguments::new("insert", body);
    let arguments = arguments.allow(&["documents", "ordered", "bypassDocumentValidation", "txnNumber"])?;
    let collection = arguments.collection()?;
    let documents = documents(arguments.array("documents")?)?;
    let ordered = arguments.flag("ordered", true)?;
    if !shared.is_ours(database) {
        let (database, known) = (database.to_owned(), shared.database.clone());
        return Err(CommandError::Database { database, known });
    }
    krt_store::check_collection(collection).map_err(Error::from)?;
    let results = shared.store.save_many(collection, documents, ordered).await;
    let saved = results.iter().filter(|result| result.is_ok()).count();
    let errors: Vec<_> = results
        .into_iter()
        .enumerate()
        .filter_map(|(index, result)| Some((index, result.err()?)))
        .map(|(index, error)| write_error(index, error, &format!("{database}.{collection}")))
        .collect();
    let mut reply = doc! { "n": number(saved) };
    if !errors.is_empty() {
        reply.insert("writeErrors", errors);
    }
    reply.insert("ok", 1.0);
    Ok(reply)
}

fn documents(values: &[Bson]) -> Result<Vec<Document>, CommandError> {
    if values.is_empty() || values.len() > number_of(MAX_BATCH) {
        let count = values.len();
        return Err(CommandError::BadValue(format!(
            "an insert of {count} documents; it has 1 to {MAX_BATCH}"
        )));
    }
    values
        .iter()
        .map(|value| match value {
            Bson::Document(document) => Ok(document.clone()),
            _ => Err(CommandError::BadValue("`insert.documents` must be objects".to_owned())),
        })
        .collect()
}

fn write_error(index: usize, error: Error, namespace: &str) -> Document {
    // Programs match MongoDB's own wording.
    let message = match &error {
        Error::Duplicate { id, .. } => {
            format!("E11000 duplicate key error collection: {namespace} index: _id_ dup key: {{ _id: {id} }}")
        }
        other => hint::line(other),
    };
    let (code, _) = CommandError::Store(error).code();
    doc! { "index": number(index), "code": code, "errmsg": message }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn number_of(count: i32) -> usize {
    usize::try_from(count).unwrap_or(0)
}
