//! Saves documents for runners of KRT v1 that know no store: they send them over NATS
//! (docs/reference/krt-v1.md#documents-over-nats).

use super::Nats;
use crate::save_request;
use bytes::Bytes;
use krt_broker::{Error, Listener, subject::is_inbox};
use krt_remote::Documents;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Documents saved concurrently.
const MAX_CONCURRENT: usize = 64;

/// Saves incoming documents, shared among all engines, until the task is aborted.
pub async fn serve(nats: &Arc<Nats>, documents: &Documents, tasks: &mut JoinSet<()>) -> Result<(), Error> {
    let subject = nats.writer_subject.clone();
    let mut listener =
        Listener::open_in(&nats.connection, subject.clone(), format!("queue_{subject}")).await?;
    let (nats, documents) = (Arc::clone(nats), documents.clone());
    tasks.spawn(async move {
        let mut saving = JoinSet::new();
        while let Some(received) = listener.next().await {
            if saving.len() >= MAX_CONCURRENT {
                saving.join_next().await;
            }
            saving.spawn(answer(Arc::clone(&nats), documents.clone(), received.body, received.reply));
        }
        saving.join_all().await;
    });
    Ok(())
}

async fn answer(nats: Arc<Nats>, documents: Documents, body: Bytes, reply: Option<String>) {
    let saved = save_request::save(&documents, body, nats.options.envelope()).await;
    if let Err(error) = &saved {
        tracing::error!("cannot save a document received over NATS: {error}");
    }
    let Some(reply) = reply.filter(|reply| is_inbox(reply)) else { return };
    nats.sender.send(super::encode::engine_message(&reply, save_request::answer(saved.is_ok())), None);
}
