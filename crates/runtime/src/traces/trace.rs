//! A request's trace: its context, and the records of its hops.

use super::{
    TraceContext,
    recorder::{Parent, Recorder, Span},
};
use krt_model::{message::Timestamp, name::Name};
use opentelemetry::{
    KeyValue, SpanId,
    trace::{Event, SpanKind},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The trace of one request; for most requests, empty. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Trace(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    context: TraceContext,
    recording: Option<Recording>,
}

/// The data needed to write spans.
#[derive(Debug)]
struct Recording {
    recorder: Arc<Recorder>,
    workflow: Name,
    request: OnceLock<Arc<str>>,
    /// How a cache answered the request, if one did.
    cached: OnceLock<&'static str>,
    /// The current node of the request.
    hop: Mutex<Option<Hop>>,
}

/// A message at a node.
#[derive(Debug)]
struct Hop {
    id: SpanId,
    node: Name,
    /// When it was posted, which is the end of the stage before.
    since: SystemTime,
    /// Bytes of the message.
    size: usize,
    stages: Vec<(Stage, SystemTime, SystemTime)>,
    events: Vec<Event>,
}

/// A phase of a message at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for the handler.
    Wait,
    /// Converting the message for the worker.
    Serialise,
    /// Running the handler.
    Handler,
    /// Converting the worker's output to a message.
    Deserialise,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "queue wait",
            Self::Serialise => "serialise",
            Self::Handler => "handler",
            Self::Deserialise => "deserialise",
        }
    }
}

/// The end of a message's stay at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopEnd {
    /// The handler's start and end, if it ran.
    pub handled: Option<(Timestamp, Timestamp)>,
    /// The end of the stay.
    pub end: Timestamp,
    /// The failure, if any.
    pub fault: Option<String>,
}

impl Trace {
    /// Creates a trace that is passed on but not recorded.
    pub(super) fn passed_on(context: Option<TraceContext>) -> Self {
        Self(context.map(|context| Arc::new(Inner { context, recording: None })))
    }

    /// Creates a recorded trace, with spans below the one in `context`.
    pub(super) fn kept(context: TraceContext, recorder: Arc<Recorder>, workflow: Name) -> Self {
        let (request, cached, hop) = (OnceLock::new(), OnceLock::new(), Mutex::new(None));
        let recording = Some(Recording { recorder, workflow, request, cached, hop });
        Self(Some(Arc::new(Inner { context, recording })))
    }

    /// Returns the context for the next process, if there is a trace.
    pub fn context(&self) -> Option<&TraceContext> {
        self.0.as_ref().map(|inner| &inner.context)
    }

    /// Returns the current time, for [`Trace::stage`]; `None` if nothing is recorded.
    pub fn clock(&self) -> Option<SystemTime> {
        self.recording().map(|_| SystemTime::now())
    }

    /// Sets the request's id.
    pub fn name(&self, request: &Arc<str>) {
        if let Some((_, recording)) = self.recording() {
            // A request has one id; the first call sets it.
            let _ = recording.request.set(Arc::clone(request));
        }
    }

    /// Returns the request's id, once set.
    pub(super) fn request(&self) -> Option<&Arc<str>> {
        self.recording()?.1.request.get()
    }

    /// Records that a cache answers the request, and how.
    pub fn cached(&self, how: &'static str) {
        if let Some((_, recording)) = self.recording() {
            // A request has one answer.
            let _ = recording.cached.set(how);
        }
    }

    /// Returns how a cache answered the request, if one did.
    pub(super) fn how_cached(&self) -> Option<&'static str> {
        self.recording()?.1.cached.get().copied()
    }

    /// Records a message's arrival at a node; `size` in bytes.
    pub fn arrive(&self, node: &Name, since: Timestamp, size: usize) {
        let Some((_, recording)) = self.recording() else { return };
        let (id, node, since) = (recording.recorder.span_id(), node.clone(), time(since));
        let (stages, events) = (Vec::with_capacity(4), Vec::new());
        *recording.hop() = Some(Hop { id, node, since, size, stages, events });
    }

    /// Returns the context for the handler at the node, if there is a trace.
    pub fn of_node(&self) -> Option<TraceContext> {
        let context = self.context()?;
        let hop = self.recording().and_then(|(_, recording)| Some(recording.hop().as_ref()?.id));
        Some(hop.map_or_else(|| context.clone(), |id| context.at(id)))
    }

    /// Records a phase from `begun` ([`Trace::clock`]) until now.
    pub fn stage(&self, stage: Stage, begun: Option<SystemTime>) {
        let (Some((_, recording)), Some(begun)) = (self.recording(), begun) else { return };
        if let Some(hop) = &mut *recording.hop() {
            hop.stages.push((stage, begun, SystemTime::now()));
        }
    }

    /// Records an event at the node.
    pub fn event(&self, name: &'static str) {
        let Some((_, recording)) = self.recording() else { return };
        if let Some(hop) = &mut *recording.hop() {
            hop.events.push(Event::new(name, SystemTime::now(), Vec::new(), 0));
        }
    }

    /// Records that the message leaves the node.
    pub fn leave(&self, hop_end: impl FnOnce() -> Option<HopEnd>) {
        let Some((context, recording)) = self.recording() else { return };
        let Some(hop) = recording.hop().take() else { return };
        if let Some(hop_end) = hop_end() {
            recording.write(context, hop, hop_end);
        }
    }

    /// Ends the stay at the node because no client waits for the request.
    pub fn give_up(&self) {
        let fault = Some("given up: the client left".to_owned());
        self.leave(|| Some(HopEnd { handled: None, end: now(), fault }));
    }

    fn recording(&self) -> Option<(&TraceContext, &Recording)> {
        let inner = self.0.as_deref()?;
        Some((&inner.context, inner.recording.as_ref()?))
    }
}

impl Recording {
    fn hop(&self) -> MutexGuard<'_, Option<Hop>> {
        self.hop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the node's span and its children.
    fn write(&self, context: &TraceContext, mut hop: Hop, hop_end: HopEnd) {
        if let Some((start, end)) = hop_end.handled {
            hop.stages.push((Stage::Wait, hop.since, time(start)));
            hop.stages.push((Stage::Handler, time(start), time(end)));
        }
        let ends = hop.stages.iter().map(|(_, _, end)| *end);
        let end = ends.fold(time(hop_end.end), SystemTime::max);
        let attributes = self.attributes(&hop);
        let span = Span {
            id: hop.id,
            name: format!("process {}", hop.node).into(),
            kind: SpanKind::Consumer,
            start: hop.since,
            end: end.max(hop.since),
            attributes,
            events: hop.events,
            fault: hop_end.fault,
        };
        self.recorder.end(context, Parent::Here(context.span_id()), span);
        for (stage, start, end) in hop.stages {
            self.recorder.end(
                context,
                Parent::Here(hop.id),
                child(self.recorder.span_id(), stage, start, end),
            );
        }
    }

    /// Returns the attributes of a message at a node, by the conventions for messaging and krt's own.
    fn attributes(&self, hop: &Hop) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("messaging.system", "krt"),
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.destination.name", hop.node.to_string()),
            KeyValue::new("messaging.message.body.size", i64::try_from(hop.size).unwrap_or(i64::MAX)),
            KeyValue::new("krt.node", hop.node.to_string()),
            KeyValue::new("krt.workflow", self.workflow.to_string()),
            KeyValue::new("krt.version", Arc::clone(&self.recorder.version)),
        ];
        attributes
            .extend(self.request.get().map(|request| KeyValue::new("krt.request_id", Arc::clone(request))));
        attributes
    }
}

fn child(id: SpanId, stage: Stage, start: SystemTime, end: SystemTime) -> Span {
    Span {
        id,
        name: stage.as_str().into(),
        kind: SpanKind::Internal,
        start,
        // Clocks may be set back.
        end: end.max(start),
        attributes: Vec::new(),
        events: Vec::new(),
        fault: None,
    }
}

fn time(moment: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(moment.0)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
