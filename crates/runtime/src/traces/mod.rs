//! Distributed traces: which trace a request belongs to, and what is told of its way.
//!
//! - [`context`]: W3C trace context, as headers carry it.
//! - [`call`]: the span of a whole request.
//! - [`trace`]: the spans of its stations.
//! - [`recorder`]: which traces are kept, and where their spans are gathered.
//! - [`exporter`]: how they leave.
//!
//! Nothing here is done, and no clock is read, for a request whose trace is not kept.

mod call;
pub mod context;
mod exporter;
mod recorder;
mod trace;

pub use call::{Call, Fault, Protocol, Rpc};
pub use context::TraceContext;
pub use trace::{Departure, Stage, Trace};

use krt_model::name::Name;
use opentelemetry_sdk::trace::{BatchConfig, Sampler, SpanExporter};
use recorder::Recorder;
use std::{sync::Arc, time::Duration};

/// Where traces go; nowhere by default. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Recorder>>);

/// How traces are kept.
#[derive(Debug)]
pub struct Options {
    /// Which are.
    pub sampler: Sampler,
    /// How many spans may wait, and for how long.
    pub batches: BatchConfig,
    /// The longest that sending one batch may take.
    pub within: Duration,
}

impl Traces {
    /// Traces of a version go to an exporter, in batches. Must be called within the runtime on which
    /// the exporter shall work.
    pub fn start(exporter: impl SpanExporter + 'static, options: Options, version: &Name) -> Self {
        let Options { sampler, batches, within } = options;
        Self(Some(Arc::new(Recorder::new(exporter, sampler, batches, within, version.as_str().into()))))
    }

    /// A client calls. Its headers are those of its request; others than of a trace are passed over.
    pub fn call<'a, 'h>(
        &'a self,
        rpc: &'a Rpc,
        protocol: Protocol,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Call<'a> {
        let parent = TraceContext::of_headers(headers);
        match &self.0 {
            Some(recorder) => Call::begin(recorder, rpc, protocol, parent.as_ref()),
            None => Call::passed_on(parent),
        }
    }

    /// A message comes whose request another process took: its stations here belong to the span that
    /// its headers name.
    pub fn follow(&self, context: Option<TraceContext>, workflow: &Name) -> Trace {
        match (&self.0, context) {
            (Some(recorder), Some(context)) if context.flags().is_sampled() => {
                Trace::kept(context, Arc::clone(recorder), workflow.clone())
            }
            (_, context) => Trace::passed_on(context),
        }
    }

    /// Exports what waits, at most `within`; what comes later is dropped.
    pub async fn close(self, within: Duration) {
        let Some(recorder) = self.0 else { return };
        // Fails when the runtime ends, which is the end of the process.
        let _ = tokio::task::spawn_blocking(move || recorder.close(within)).await;
    }
}

#[cfg(test)]
mod tests;
