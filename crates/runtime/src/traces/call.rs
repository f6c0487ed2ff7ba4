//! A client's call: the span of the whole request.

use super::{
    Trace, TraceContext,
    recorder::{Parent, Recorder, Span},
};
use krt_model::name::Name;
use opentelemetry::{KeyValue, trace::SpanKind};
use std::{sync::Arc, time::SystemTime};

/// The names of an RPC, prepared for its spans.
#[derive(Debug)]
pub struct Rpc {
    /// `package.Service/Method`.
    name: Arc<str>,
    service: Arc<str>,
    method: Arc<str>,
    workflow: Name,
}

/// The client's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// The Connect protocol: JSON over HTTP.
    Connect,
    /// The Open Inference Protocol over REST.
    OpenInference,
}

/// Why a call ended without a message.
#[derive(Debug, Clone, Copy)]
pub struct Fault<'a> {
    /// The status, by gRPC's number.
    pub code: i32,
    /// The status, by the Connect protocol's name.
    pub name: &'static str,
    /// The text for the client.
    pub message: &'a str,
}

/// The fault of a call whose client left before its end.
const LEFT: Fault<'static> = Fault { code: 1, name: "canceled", message: "the client left" };

/// A call in progress. Dropped before its end, it counts as left by its client.
#[derive(Debug, Default)]
pub struct Call {
    trace: Trace,
    open: Option<Open>,
}

/// The data of the span.
#[derive(Debug)]
struct Open {
    recorder: Arc<Recorder>,
    rpc: Arc<Rpc>,
    protocol: Protocol,
    context: TraceContext,
    parent: Parent,
    start: SystemTime,
}

impl Rpc {
    /// Creates the RPC of a path, `/package.Service/Method`, that leads to a workflow.
    pub fn new(path: &str, workflow: Name) -> Self {
        let name = path.trim_start_matches('/');
        let (service, method) = name.rsplit_once('/').unwrap_or((name, ""));
        Self { name: name.into(), service: service.into(), method: method.into(), workflow }
    }
}

impl Call {
    /// Creates a call that is not recorded.
    pub(super) fn passed_on(parent: Option<TraceContext>) -> Self {
        Self { trace: Trace::passed_on(parent), open: None }
    }

    /// Starts a call, which continues from `parent` or starts a trace.
    pub(super) fn start(
        recorder: &Arc<Recorder>,
        rpc: &Arc<Rpc>,
        protocol: Protocol,
        parent: Option<&TraceContext>,
    ) -> Self {
        let context = recorder.start_span(parent, &rpc.name, &SpanKind::Server);
        if !context.flags().is_sampled() {
            return Self::passed_on(Some(context));
        }
        let parent = parent.map_or(Parent::None, |parent| Parent::Remote(parent.span_id()));
        let trace = Trace::kept(context.clone(), Arc::clone(recorder), rpc.workflow.clone());
        let start = SystemTime::now();
        let (recorder, rpc) = (Arc::clone(recorder), Arc::clone(rpc));
        Self { trace, open: Some(Open { recorder, rpc, protocol, context, parent, start }) }
    }

    /// Returns the trace for the request.
    pub fn trace(&self) -> Trace {
        self.trace.clone()
    }

    /// Ends the call, with an answer or a fault.
    pub fn end(mut self, fault: Option<Fault<'_>>) {
        self.write(fault);
    }

    fn write(&mut self, fault: Option<Fault<'_>>) {
        let Some(open) = self.open.take() else { return };
        let span = Span {
            id: open.context.span_id(),
            name: open.rpc.name.to_string().into(),
            kind: SpanKind::Server,
            start: open.start,
            end: SystemTime::now().max(open.start),
            attributes: open.attributes(&self.trace, fault),
            events: Vec::new(),
            fault: fault.map(|fault| fault.message.to_owned()),
        };
        open.recorder.end(&open.context, open.parent, span);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.write(Some(LEFT));
    }
}

impl Open {
    /// Returns the call's attributes, by the conventions for RPCs and krt's own.
    fn attributes(&self, trace: &Trace, fault: Option<Fault<'_>>) -> Vec<KeyValue> {
        let Rpc { service, method, workflow, .. } = &*self.rpc;
        let (system, status) = match self.protocol {
            Protocol::Grpc => {
                let code = fault.map_or(0, |fault| fault.code);
                ("grpc", Some(KeyValue::new("rpc.grpc.status_code", i64::from(code))))
            }
            Protocol::Connect => {
                let code = fault.map(|fault| KeyValue::new("rpc.connect_rpc.error_code", fault.name));
                ("connect_rpc", code)
            }
            Protocol::OpenInference => {
                ("open_inference", fault.map(|fault| KeyValue::new("error.type", fault.name)))
            }
        };
        let mut attributes = vec![
            KeyValue::new("rpc.system", system),
            KeyValue::new("rpc.service", Arc::clone(service)),
            KeyValue::new("rpc.method", Arc::clone(method)),
            KeyValue::new("krt.workflow", workflow.to_string()),
            KeyValue::new("krt.version", Arc::clone(&self.recorder.version)),
        ];
        attributes.extend(status);
        attributes
            .extend(trace.request().map(|request| KeyValue::new("krt.request_id", Arc::clone(request))));
        attributes.extend(trace.how_cached().map(|how| KeyValue::new("krt.cache", how)));
        attributes
    }
}
