//! Exports spans, and logs failures.

use krt_model::{certificate, hint};
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;

/// An exporter that runs on the engine's runtime, from any calling thread, and logs a failure once until it
/// succeeds again.
#[derive(Debug)]
pub(super) struct WarnOnce<E> {
    exporter: Arc<E>,
    runtime: Handle,
    /// The time limit of one batch.
    within: Duration,
    lost: LostSpans,
}

/// Spans lost since the last batch that arrived.
#[derive(Debug, Default)]
struct LostSpans(AtomicU64);

/// A change to log.
#[derive(Debug, PartialEq, Eq)]
enum StatusChange {
    /// It fails, for the first time since a success.
    Failing,
    /// It succeeds again.
    Recovered {
        /// Spans lost meanwhile.
        lost: u64,
    },
}

impl LostSpans {
    fn note(&self, arrived: bool, spans: u64) -> Option<StatusChange> {
        if arrived {
            let lost = self.0.swap(0, Ordering::Relaxed);
            return (lost > 0).then_some(StatusChange::Recovered { lost });
        }
        (self.0.fetch_add(spans, Ordering::Relaxed) == 0).then_some(StatusChange::Failing)
    }
}

impl<E: SpanExporter + 'static> WarnOnce<E> {
    /// Creates the exporter. Must be called within the runtime.
    pub(super) fn new(exporter: E, within: Duration) -> Self {
        Self { exporter: Arc::new(exporter), runtime: Handle::current(), within, lost: LostSpans::default() }
    }

    fn report(&self, sent: &OTelSdkResult, spans: u64) {
        match (self.lost.note(sent.is_ok(), spans), sent) {
            (Some(StatusChange::Failing), Err(error)) => {
                let reason = error.to_string();
                let hint = certificate::hint(&reason, "OTEL_EXPORTER_OTLP_CERTIFICATE");
                let reason = hint::on_one_line(reason, hint.as_slice());
                tracing::warn!("traces are not exported, requests go on without: {reason}");
            }
            (Some(StatusChange::Recovered { lost }), _) => {
                tracing::info!("traces are exported again; spans that were lost: {lost}");
            }
            _ => {}
        }
    }
}

impl<E: SpanExporter + 'static> SpanExporter for WarnOnce<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (exporter, within) = (Arc::clone(&self.exporter), self.within);
        let spans = batch.len() as u64;
        let send = async move {
            let sent = tokio::time::timeout(within, exporter.export(batch)).await;
            sent.unwrap_or(Err(OTelSdkError::Timeout(within)))
        };
        // Cancelled when the runtime ends, which is the end of the process.
        let sent = self.runtime.spawn(send).await.unwrap_or(Err(OTelSdkError::AlreadyShutdown));
        self.report(&sent, spans);
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_failures_are_reported_once() {
        let lost = LostSpans::default();
        let rows = [
            (true, 5, None),
            (false, 5, Some(StatusChange::Failing)),
            (false, 3, None),
            (false, 2, None),
            (true, 7, Some(StatusChange::Recovered { lost: 10 })),
            (true, 7, None),
            (false, 1, Some(StatusChange::Failing)),
        ];
        for (index, (arrived, spans, expected)) in rows.into_iter().enumerate() {
            assert_eq!(lost.note(arrived, spans), expected, "row {index}");
        }
    }
}
