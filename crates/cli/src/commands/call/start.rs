//! Waits for a service that is starting.

use crate::terminal;
use std::time::{Duration, Instant};

/// The first pause between two attempts; each further pause is longer.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// A start up to this long is not reported.
const REPORT_AFTER: Duration = Duration::from_secs(2);
/// The interval between reports that the service is still starting.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Waits for a start, and reports it on standard error.
pub(in crate::commands) struct Start {
    what: String,
    limit: Option<Duration>,
    waiting: Option<WaitProgress>,
}

struct WaitProgress {
    begun: Instant,
    last_notice: Instant,
    pause: Duration,
}

impl Start {
    /// Waits for `what`, at most for `limit`.
    pub(in crate::commands) fn of(what: String, limit: Option<Duration>) -> Self {
        Self { what, limit, waiting: None }
    }

    /// Pauses before the next attempt. Returns false when the time is up.
    pub(in crate::commands) async fn pause(&mut self) -> bool {
        let now = Instant::now();
        let waiting = self.waiting.get_or_insert_with(|| {
            terminal::print_note(&format!("waiting for {}, which is starting", self.what));
            WaitProgress { begun: now, last_notice: now, pause: INITIAL_BACKOFF }
        });
        let waited = waiting.begun.elapsed();
        if waiting.last_notice.elapsed() >= REPORT_INTERVAL {
            waiting.last_notice = now;
            terminal::print_note(&progress_message(&self.what, waited));
        }
        let left = self.limit.map_or(Duration::MAX, |limit| limit.saturating_sub(waited));
        tokio::time::sleep(left.min(waiting.pause)).await;
        waiting.pause = (waiting.pause * 2).min(MAX_BACKOFF);
        !left.is_zero()
    }

    /// Ends the wait: the service has started.
    pub(in crate::commands) fn ended(&mut self) {
        self.waiting = None;
    }

    /// Waits for `ready`, which resolves once a local service has started. Returns `None` when the time is
    /// up.
    pub(in crate::commands) async fn watch<T>(&self, ready: impl Future<Output = T>) -> Option<T> {
        let waiting = async {
            tokio::time::sleep(REPORT_AFTER).await;
            terminal::print_note(&format!("waiting for {}, which is starting", self.what));
            let begun = Instant::now();
            loop {
                tokio::time::sleep(REPORT_INTERVAL).await;
                terminal::print_note(&progress_message(&self.what, begun.elapsed()));
            }
        };
        let late = async {
            match self.limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ready = ready => Some(ready),
            () = late => None,
            () = waiting => None,
        }
    }

    /// The hint for a start that took too long.
    pub(in crate::commands) fn hint(&self) -> String {
        match self.limit {
            Some(limit) => format!("waited {} s; a longer --timeout waits longer", limit.as_secs_f64()),
            None => String::new(),
        }
    }
}

fn progress_message(what: &str, waited: Duration) -> String {
    format!("still waiting for {what} after {} s", waited.as_secs())
}
