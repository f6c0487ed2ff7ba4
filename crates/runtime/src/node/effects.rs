//! What handlers do beside answering: measurements, documents, predictions.
//!
//! Hosts never talk to a store: the engine does it for them.

use super::{Node, frame::Measurement, link::Link, window::Subject};
use crate::{errors::chain, flow::Saved};
use bson::Bson;
use futures::StreamExt as _;
use krt_remote::Documents;
use krt_store::{Point, Value, parse_document, to_json};
use std::{error::Error, sync::Arc};
use tokio::task::JoinSet;

/// How many SAVE and FIND calls of one host are in work; more are left in its socket.
const MAX_CALLS: usize = 256;

/// How many bytes of documents one FIND gives: a host keeps them all until the last has come.
const MAX_FOUND: usize = 128 << 20;

#[derive(Debug, thiserror::Error)]
#[error("the documents found have more than {} MiB; hint: look for fewer at a time", MAX_FOUND >> 20)]
struct FoundTooMuch;

/// The calls of one host that are in work. Dropped, they are stopped.
#[derive(Debug, Default)]
pub(super) struct Calls(JoinSet<()>);

impl Calls {
    /// Whether another call may be started.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < MAX_CALLS
    }

    /// Waits until a call has ended; for ever when there is none.
    pub(super) async fn finish_one(&mut self) {
        if self.0.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Saves a document and tells the host.
    pub(super) fn save(
        &mut self,
        link: Arc<Link>,
        call: u32,
        subject: Option<Subject>,
        collection: String,
        document: String,
    ) {
        // The request is in work until what it saves is saved.
        let journey = subject.and_then(|subject| subject.journey());
        self.0.spawn(async move {
            match save(&link.node().documents, &collection, &document).await {
                Ok(id) => {
                    if let Some(journey) = journey {
                        journey.saved(Saved { node: link.node().index, collection, id });
                    }
                    link.send(|outbox| outbox.done(call));
                }
                Err(error) => link.send(|outbox| outbox.failed(call, &chain(&*error))),
            }
        });
    }

    /// Looks for documents and streams them to the host.
    pub(super) fn find(&mut self, link: Arc<Link>, call: u32, collection: String, query: String) {
        self.0.spawn(async move {
            match find(&link, call, &collection, &query).await {
                Ok(()) => link.send(|outbox| outbox.done(call)),
                Err(error) => link.send(|outbox| outbox.failed(call, &chain(&*error))),
            }
        });
    }
}

async fn save(
    documents: &Documents,
    collection: &str,
    text: &str,
) -> Result<Bson, Box<dyn Error + Send + Sync>> {
    Ok(documents.save(collection, parse_document(text)?).await?)
}

async fn find(
    link: &Link,
    call: u32,
    collection: &str,
    query: &str,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let query = parse_document(query)?;
    let mut found = link.node().documents.find(collection, query).await?;
    let mut size = 0;
    while let Some(next) = found.next().await {
        let document = next?;
        size += document.as_bytes().len();
        if size > MAX_FOUND {
            return Err(Box::new(FoundTooMuch));
        }
        let text = to_json(&document);
        link.has_room().await;
        link.send(|outbox| outbox.document(call, &text));
    }
    Ok(())
}

/// Records a point of user code, with the tags that are set for the user.
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
        tracing::warn!(node = %node.name, "a measurement is not kept: {}", chain(&error));
    }
}

/// A JSON value as a field; hosts send no others.
fn field(value: &serde_json::Value) -> Option<Value<'_>> {
    Some(match value {
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::String(value) => Value::Text(value.as_str().into()),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64()?),
        },
        _ => return None,
    })
}
