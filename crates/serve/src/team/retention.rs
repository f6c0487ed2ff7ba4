//! How long the audit log is kept.

use super::Team;
use krt_model::hint;
use krt_registry::AuditRetention;
use std::time::Duration;

/// The interval of deletions.
const INTERVAL: Duration = Duration::from_secs(600);

impl Team {
    /// Applies the audit log's retention, at once and then regularly, until the server ends.
    pub async fn apply_audit_retention(&self, retention: AuditRetention) {
        loop {
            if let Err(error) = self.with_registry(move |registry| registry.prune_audit(retention)).await {
                tracing::error!("the audit log cannot be pruned: {}", hint::line(&error));
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.ended.cancelled() => return,
            }
        }
    }
}
