//! Replaces a failed client, and disconnects one whose server sends an endless message.
//!
//! `async-nats` buffers a message until it is complete, whatever length the server announces. Its task panics
//! on some messages, such as one with a lone carriage return in a header.

use super::{ClientFactory, Current, MAX_BACKOFF};
use async_nats::{Client, Statistics};
use krt_model::hint;
use std::{
    sync::{PoisonError, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::sync::mpsc;

/// Largest message, whatever the server says, in bytes: the maximum of NATS.
const MAX_MESSAGE: usize = 64 << 20;
/// Further bytes allowed between the ends of two messages, for other protocol lines.
const PROTOCOL_OVERHEAD: usize = 1 << 20;
/// Interval between checks of the bytes received.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Keeps a connection until it is closed or its last handle is dropped.
pub(super) async fn maintain(current: Weak<Current>, factory: ClientFactory, mut ended: mpsc::Receiver<()>) {
    loop {
        let Some(client) = client(&current) else { return };
        tokio::select! {
            _ = ended.recv() => {}
            () = watch(client) => continue,
        }
        if self::client(&current).is_none() {
            return;
        }
        factory.connected.send_replace(false);
        tracing::error!("the client of NATS at {} failed: another one takes its place", factory.address);
        let Some(next) = dial(&current, &factory).await else { return };
        ended = next;
        factory.connected.send_replace(true);
        tracing::info!("connected to NATS at {} again", factory.address);
    }
}

/// Returns the client, unless the connection was closed.
fn client(current: &Weak<Current>) -> Option<Client> {
    let current = current.upgrade().filter(|current| !current.closed.load(Ordering::Acquire))?;
    let client = current.client.read().unwrap_or_else(PoisonError::into_inner);
    Some(client.clone())
}

/// Connects another client, with as many attempts as needed.
async fn dial(current: &Weak<Current>, factory: &ClientFactory) -> Option<mpsc::Receiver<()>> {
    loop {
        client(current)?;
        match factory.dial().await {
            Ok((client, ended)) => {
                let current = current.upgrade()?;
                *current.client.write().unwrap_or_else(PoisonError::into_inner) = client;
                return Some(ended);
            }
            Err(error) => tracing::debug!("not connected to NATS: {}", hint::chain(&error)),
        }
        tokio::time::sleep(MAX_BACKOFF).await;
    }
}

/// Returns after it has disconnected a server that was sending an overlong message.
async fn watch(client: Client) {
    let statistics = client.statistics();
    let mut tick = tokio::time::interval(POLL_INTERVAL);
    let mut whole = received(&statistics);
    loop {
        tick.tick().await;
        let now = received(&statistics);
        if now.0 != whole.0 {
            whole = now;
        } else if now.1.saturating_sub(whole.1) > limit(&client) {
            tracing::error!("NATS sends a message that is larger than it may be: connecting again");
            // Fails if the client has ended, which `keep` notices.
            let _ = client.force_reconnect().await;
            return;
        }
    }
}

/// Returns the most bytes between the ends of two messages.
fn limit(client: &Client) -> u64 {
    (client.max_payload().min(MAX_MESSAGE) + PROTOCOL_OVERHEAD) as u64
}

/// Returns the numbers of messages and bytes received.
fn received(statistics: &Statistics) -> (u64, u64) {
    (statistics.in_messages.load(Ordering::Relaxed), statistics.in_bytes.load(Ordering::Relaxed))
}
