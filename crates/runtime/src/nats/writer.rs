//! Saves documents for runners of KRT v1 that know no store: they send them over NATS (KRT v1, "On the wire").

use super::Nats;
use bytes::Bytes;
use krt_broker::{Error, Listener, compression};
use krt_remote::Documents;
use krt_store::parse_document;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::task::JoinSet;

/// How many documents are being saved at a time.
const AT_ONCE: usize = 64;

/// What such a runner sends.
#[derive(Debug, Deserialize)]
struct Wish<'a> {
    coll: String,
    #[serde(borrow)]
    doc: &'a RawValue,
}

/// Saves what comes, as one of all that do, until it is stopped.
pub async fn serve(nats: &Arc<Nats>, documents: &Documents, tasks: &mut JoinSet<()>) -> Result<(), Error> {
    let subject = nats.writer_subject.clone();
    let mut listener =
        Listener::open_in(&nats.connection, subject.clone(), format!("queue_{subject}")).await?;
    let (nats, documents) = (Arc::clone(nats), documents.clone());
    tasks.spawn(async move {
        let mut saving = JoinSet::new();
        while let Some(heard) = listener.next().await {
            if saving.len() >= AT_ONCE {
                saving.join_next().await;
            }
            saving.spawn(answer(Arc::clone(&nats), documents.clone(), heard.body, heard.reply));
        }
        saving.join_all().await;
    });
    Ok(())
}

async fn answer(nats: Arc<Nats>, documents: Documents, body: Bytes, reply: Option<String>) {
    let saved = save(&nats, &documents, body).await;
    if let Err(error) = &saved {
        tracing::error!("a document that came over NATS is not saved: {error}");
    }
    let Some(reply) = reply else { return };
    let words = format!("{{\"success\": {}}}", saved.is_ok());
    nats.sender.send(super::carry::aside(&reply, words.into_bytes()), None);
}

async fn save(nats: &Nats, documents: &Documents, body: Bytes) -> Result<(), String> {
    let text = compression::unpack(body, nats.options.envelope()).map_err(|error| error.to_string())?;
    let wish: Wish<'_> = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let document = parse_document(wish.doc.get()).map_err(|error| crate::errors::chain(&error))?;
    documents.save(&wish.coll, document).await.map(drop).map_err(|error| crate::errors::chain(&error))
}
