//! Ends a stream with the identity that opened it.
//!
//! The registry signals changes of users, sessions and tokens; an identity is checked again only then, and
//! when it should expire.

use crate::blocking;
use krt_model::hint;
use krt_registry::{Identity, Registry, Timestamp};
use std::{sync::Arc, time::Duration};

/// The longest time between checks: identities expire by the system's clock, which may be set.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// Waits until an identity ends, and returns the reason.
pub(crate) async fn ended(registry: Arc<Registry>, identity: Identity) -> String {
    let mut changes = registry.identities();
    loop {
        changes.mark_unchanged();
        let (of, asked) = (Arc::clone(&registry), identity.clone());
        let until = match blocking::run(move || of.validity(&asked)).await {
            Ok(Ok(until)) => until,
            Ok(Err(ended)) => return ended.to_string(),
            Err(error) => {
                tracing::error!("who follows a stream cannot be looked up: {}", hint::line(&error));
                return "the server failed".to_owned();
            }
        };
        tokio::select! {
            // Never fails: this holds the registry.
            _ = changes.changed() => {}
            () = tokio::time::sleep(left(until)) => {}
        }
    }
}

fn left(until: Option<Timestamp>) -> Duration {
    let left = until.map(|until| until.0.saturating_sub(Timestamp::now().0));
    left.map_or(MAX_INTERVAL, |micros| {
        Duration::from_micros(micros.try_into().unwrap_or_default()).min(MAX_INTERVAL)
    })
}
