//! Creates and gathers spans.

use super::{TraceContext, exporter::WarnOnce};
use opentelemetry::{
    Context, InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Event, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState},
};
use opentelemetry_sdk::trace::{
    BatchConfig, BatchSpanProcessor, IdGenerator as _, RandomIdGenerator, Sampler, SamplingDecision,
    ShouldSample as _, SpanData, SpanEvents, SpanExporter, SpanLinks, SpanProcessor as _,
};
use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Longest failure text in a span, in bytes.
const MAX_ERROR: usize = 4 << 10;
/// krt's ids are random in all bits ("Random Trace ID Flag" of W3C trace context).
const RANDOM: TraceFlags = TraceFlags::new(0b10);

/// Samples traces, and gathers their spans for the exporter.
#[derive(Debug)]
pub(super) struct Recorder {
    processor: BatchSpanProcessor,
    sampler: Sampler,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
    /// The version's name.
    pub(super) version: Arc<str>,
}

/// A span that has ended.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) id: SpanId,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) events: Vec<Event>,
    /// The failure, if any.
    pub(super) fault: Option<String>,
}

/// The parent of a span.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parent {
    /// None: it is the first of its trace.
    None,
    /// A span of this process.
    Here(SpanId),
    /// A span of another process.
    Remote(SpanId),
}

impl Recorder {
    /// Creates a recorder. Must be called within the runtime on which the exporter runs.
    pub(super) fn new(
        exporter: impl SpanExporter + 'static,
        sampler: Sampler,
        batches: BatchConfig,
        within: Duration,
        version: Arc<str>,
    ) -> Self {
        let scope = InstrumentationScope::builder("krt").with_version(env!("CARGO_PKG_VERSION")).build();
        let processor =
            BatchSpanProcessor::builder(WarnOnce::new(exporter, within)).with_batch_config(batches).build();
        Self { processor, sampler, ids: RandomIdGenerator::default(), scope, version }
    }

    /// Continues from `parent`, or starts a trace. Returns the new span's context, with the sampling
    /// decision.
    pub(super) fn start_span(
        &self,
        parent: Option<&TraceContext>,
        name: &str,
        kind: &SpanKind,
    ) -> TraceContext {
        let trace = parent.map_or_else(|| self.ids.new_trace_id(), TraceContext::trace_id);
        let state = parent.map_or(TraceState::NONE, |parent| parent.state().clone());
        let flags = parent.map_or(RANDOM, TraceContext::flags);
        let flags = flags.with_sampled(self.samples(parent, trace, name, kind));
        TraceContext::new(trace, self.span_id(), flags, state)
    }

    fn samples(&self, parent: Option<&TraceContext>, trace: TraceId, name: &str, kind: &SpanKind) -> bool {
        let parent = parent.map(|parent| Context::new().with_remote_span_context(parent.to_remote()));
        let result = self.sampler.should_sample(parent.as_ref(), trace, name, kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    /// Returns a new span's id.
    pub(super) fn span_id(&self) -> SpanId {
        self.ids.new_span_id()
    }

    /// Adds a span to the trace of `within`. Drops it if the queue is full.
    pub(super) fn end(&self, within: &TraceContext, parent: Parent, span: Span) {
        let (parent_span_id, parent_span_is_remote) = match parent {
            Parent::None => (SpanId::INVALID, false),
            Parent::Here(id) => (id, false),
            Parent::Remote(id) => (id, true),
        };
        let state = within.state().clone();
        let span_context = SpanContext::new(within.trace_id(), span.id, within.flags(), false, state);
        let mut events = SpanEvents::default();
        events.events = span.events;
        self.processor.on_end(SpanData {
            span_context,
            parent_span_id,
            parent_span_is_remote,
            span_kind: span.kind,
            name: span.name,
            start_time: span.start,
            end_time: span.end,
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: span.fault.map_or(Status::Unset, |text| Status::error(shortened(text))),
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Exports the waiting spans, within `within` at most. Blocks.
    pub(super) fn close(&self, within: Duration) {
        // The exporter logs failures.
        let _ = self.processor.shutdown_with_timeout(within);
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_ERROR));
    text
}
