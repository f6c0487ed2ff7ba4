//! Effects of handlers besides their answer: measurements, documents, predictions.
//!
//! Workers never talk to a store; the engine does.

use super::{
    Node,
    frame::{Field, Measurement},
    link::Link,
    window::Subject,
};
use bson::Bson;
use futures::StreamExt as _;
use krt_model::{hint, request::Saved};
use krt_remote::Documents;
use krt_store::{JsonError, Point, Value, parse_document, to_json};
use std::sync::Arc;
use tokio::task::JoinSet;

/// SAVE and FIND calls of one worker in flight; further ones stay in its socket.
const MAX_CALLS: usize = 256;

/// Bytes of documents that one FIND returns; a worker keeps them all until the last arrives.
const MAX_FOUND: usize = 128 << 20;

/// Why a SAVE or FIND call fails.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum CallError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] krt_remote::Error),
    #[error("the documents found have more than {} MiB", MAX_FOUND >> 20)]
    #[diagnostic(help("look for fewer at a time"))]
    FoundTooMuch,
}

/// The calls of one worker in flight. Dropping them aborts them.
#[derive(Debug, Default)]
pub(super) struct Calls(JoinSet<()>);

impl Calls {
    /// Returns whether another call may start.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < MAX_CALLS
    }

    /// Waits until a call has ended; for ever if there are none.
    pub(super) async fn finish_one(&mut self) {
        if self.0.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Saves a document and reports to the worker.
    pub(super) fn save(
        &mut self,
        link: Arc<Link>,
        call: u32,
        subject: Option<Subject>,
        collection: String,
        document: String,
    ) {
        // The request stays in flight until its documents are saved.
        let saving = subject.and_then(|subject| subject.saving());
        self.0.spawn(async move {
            match save(&link.node().documents, &collection, &document).await {
                Ok(id) => {
                    if let Some(saving) = saving {
                        saving.saved(Saved { node: link.node().name.clone(), collection, id });
                    }
                    link.send(|outbox| outbox.done(call));
                }
                Err(error) => link.send(|outbox| outbox.failed(call, &error_text(&error))),
            }
        });
    }

    /// Finds documents and streams them to the worker.
    pub(super) fn find(&mut self, link: Arc<Link>, call: u32, collection: String, query: String) {
        self.0.spawn(async move {
            match find(&link, call, &collection, &query).await {
                Ok(()) => link.send(|outbox| outbox.done(call)),
                Err(error) => link.send(|outbox| outbox.failed(call, &error_text(&error))),
            }
        });
    }
}

/// Longest error text, in bytes: a remote server may say anything.
const MAX_ERROR: usize = 16 << 10;

fn error_text(error: &CallError) -> String {
    let mut text = hint::chain(error);
    text.truncate(text.floor_char_boundary(MAX_ERROR));
    text
}

async fn save(documents: &Documents, collection: &str, text: &str) -> Result<Bson, CallError> {
    Ok(documents.save(collection, parse_document(text)?).await?)
}

async fn find(link: &Link, call: u32, collection: &str, query: &str) -> Result<(), CallError> {
    let query = parse_document(query)?;
    let mut found = link.node().documents.find(collection, query).await?;
    let mut size = 0;
    while let Some(next) = found.next().await {
        let document = next?;
        size += document.as_bytes().len();
        if size > MAX_FOUND {
            return Err(CallError::FoundTooMuch);
        }
        let text = to_json(&document);
        link.has_room().await;
        link.send(|outbox| outbox.document(call, &text));
    }
    Ok(())
}

/// Records a point of user code, with the tags set by the engine.
pub(super) fn measure(node: &Node, subject: Option<&Subject>, point: &Measurement) {
    let mut tags: Vec<(&str, &str)> = Vec::with_capacity(point.tags.len() + 3);
    tags.extend(point.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    tags.retain(|(name, _)| !matches!(*name, "version" | "node" | "workflow"));
    tags.push(("version", &node.hello.version));
    tags.push(("node", node.name.as_str()));
    tags.extend(subject.map(|subject| ("workflow", subject.workflow().as_str())));
    let fields: Vec<_> =
        point.fields.iter().filter_map(|(name, value)| Some((name.as_str(), field(value)?))).collect();
    let point = Point { measurement: &point.measurement, tags: &tags, fields: &fields, time: point.time };
    if let Err(error) = node.store.measure(&point) {
        tracing::warn!(node = %node.name, "a measurement is not kept: {}", hint::chain(&error));
    }
}

/// A value as the store takes it; workers send no others.
fn field(value: &Field) -> Option<Value<'_>> {
    Some(match value {
        Field::Bool(value) => Value::Bool(*value),
        Field::Int(value) => Value::Int(*value),
        Field::Float(value) => Value::Float(*value),
        Field::Text(value) => Value::Text(value.as_str().into()),
        Field::Other => return None,
    })
}
