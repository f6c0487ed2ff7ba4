//! Distributed traces: the trace of a request, and the spans recorded for it.
//!
//! - [`context`]: W3C trace context, as headers carry it.
//! - [`call`]: the span of a whole request.
//! - [`trace`]: the spans of its stages.
//! - [`recorder`]: samples traces and gathers their spans.
//! - [`exporter`]: exports the spans.
//!
//! A request whose trace is not sampled costs no work here, and no reading of a clock.

mod call;
pub mod context;
mod exporter;
mod recorder;
mod trace;

pub use call::{Call, Fault, Protocol, Rpc};
pub use context::TraceContext;
pub use trace::{HopEnd, Stage, Trace};

use krt_model::name::Name;
use opentelemetry_sdk::trace::{BatchConfig, Sampler, SpanExporter};
use recorder::Recorder;
use std::{sync::Arc, time::Duration};

/// The destination of traces; none by default. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Recorder>>);

/// Settings of traces.
#[derive(Debug)]
pub struct Options {
    /// Decides which traces are kept.
    pub sampler: Sampler,
    /// How many spans may wait, and for how long.
    pub batches: BatchConfig,
    /// The time limit for sending one batch.
    pub within: Duration,
}

impl Traces {
    /// Sends a version's traces to an exporter, in batches. Must be called within the runtime on which the
    /// exporter runs.
    pub fn start(exporter: impl SpanExporter + 'static, options: Options, version: &Name) -> Self {
        let Options { sampler, batches, within } = options;
        Self(Some(Arc::new(Recorder::new(exporter, sampler, batches, within, version.as_str().into()))))
    }

    /// Starts a client's call. `headers` are those of its request; only the trace headers are used.
    pub fn call<'h>(
        &self,
        rpc: &Arc<Rpc>,
        protocol: Protocol,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Call {
        let parent = TraceContext::of_headers(headers);
        match &self.0 {
            Some(recorder) => Call::start(recorder, rpc, protocol, parent.as_ref()),
            None => Call::passed_on(parent),
        }
    }

    /// Continues the trace of a request received by another process: the stages here belong to the span in
    /// the context.
    pub fn follow(&self, context: Option<TraceContext>, workflow: &Name) -> Trace {
        match (&self.0, context) {
            (Some(recorder), Some(context)) if context.flags().is_sampled() => {
                Trace::kept(context, Arc::clone(recorder), workflow.clone())
            }
            (_, context) => Trace::passed_on(context),
        }
    }

    /// Exports the waiting spans, within `within` at most; later ones are dropped.
    pub async fn close(self, within: Duration) {
        let Some(recorder) = self.0 else { return };
        // Fails when the runtime ends, which is the end of the process.
        let _ = tokio::task::spawn_blocking(move || recorder.close(within)).await;
    }
}

#[cfg(test)]
mod tests;
