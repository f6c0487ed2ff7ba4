//! Spans as the exporter receives them.

use super::*;
use krt_model::message::Timestamp;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, SpanData},
};
use std::sync::Mutex;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const LONG: Duration = Duration::from_secs(60);

/// An exporter that keeps its spans.
#[derive(Debug, Clone, Default)]
struct KeepingExporter(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for KeepingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// An exporter that never finishes.
#[derive(Debug)]
struct Stuck;

impl SpanExporter for Stuck {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        std::future::pending().await
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn start(exporter: impl SpanExporter + 'static, sampler: Sampler) -> Traces {
    let batches = BatchConfigBuilder::default().with_max_queue_size(64).build();
    Traces::start(exporter, Options { sampler, batches, within: LONG }, &name("v1"))
}

fn parent_based() -> Sampler {
    Sampler::ParentBased(Box::new(Sampler::AlwaysOn))
}

fn rpc() -> Arc<Rpc> {
    Arc::new(Rpc::new("/a.b.Service/Method", name("w")))
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}

fn hop_end(fault: Option<&str>) -> Option<HopEnd> {
    let handled = Some((Timestamp(2_000), Timestamp(3_000)));
    Some(HopEnd { handled, end: Timestamp(3_000), fault: fault.map(str::to_owned) })
}

#[tokio::test]
async fn a_request_and_its_stages() {
    let kept = KeepingExporter::default();
    let traces = start(kept.clone(), parent_based());
    let rpc = rpc();
    let call = traces.call(&rpc, Protocol::Grpc, [("traceparent", PARENT), ("tracestate", "a=1")]);
    let trace = call.trace();
    trace.name(&"id".into());
    trace.arrive(&name("one"), Timestamp(1_000), 7);
    let at_one = trace.of_node().unwrap();
    trace.event("early reply");
    trace.leave(|| hop_end(None));
    trace.arrive(&name("two"), Timestamp(3_000), 7);
    trace.leave(|| hop_end(Some("no luck")));
    trace.leave(|| panic!("it has left"));
    call.end(Some(Fault { code: 13, name: "internal", message: "error in 'two': no luck" }));
    let here = trace.context().unwrap().clone();
    traces.close(LONG).await;

    let spans = kept.0.lock().unwrap();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(
        names,
        [
            "process one",
            "queue wait",
            "handler",
            "process two",
            "queue wait",
            "handler",
            "a.b.Service/Method"
        ]
    );
    let (one, two, server) = (&spans[0], &spans[3], &spans[6]);
    for span in &*spans {
        assert_eq!(span.span_context.trace_id(), TraceContext::parse(PARENT).unwrap().trace_id());
        assert_eq!(span.span_context.trace_state().header(), "a=1");
    }
    assert_eq!(server.parent_span_id, TraceContext::parse(PARENT).unwrap().span_id());
    assert!(server.parent_span_is_remote);
    assert_eq!(server.span_kind, SpanKind::Server);
    assert_eq!(server.span_context.span_id(), here.span_id(), "the next process goes on from it");
    assert_eq!(one.parent_span_id, here.span_id());
    assert_eq!(one.span_context.span_id(), at_one.span_id(), "its handler goes on from it");
    assert_eq!(spans[2].parent_span_id, one.span_context.span_id());
    assert_eq!(one.events.events[0].name, "early reply");
    assert_eq!(one.status, Status::Unset);
    assert_eq!(two.status, Status::error("no luck"));
    assert_eq!(server.status, Status::error("error in 'two': no luck"));
    assert_eq!(attribute(server, "rpc.grpc.status_code").as_deref(), Some("13"));
    for span in [one, two, server] {
        assert_eq!(attribute(span, "krt.request_id").as_deref(), Some("id"));
        assert_eq!(attribute(span, "krt.workflow").as_deref(), Some("w"));
        assert_eq!(attribute(span, "krt.version").as_deref(), Some("v1"));
    }
}

#[tokio::test]
async fn the_sampler_decides_over_traces() {
    let rows = [
        (parent_based(), None, true),
        (parent_based(), Some(PARENT), true),
        (parent_based(), Some(UNSAMPLED), false),
        (parent_based(), Some("nonsense"), true),
        (Sampler::AlwaysOn, Some(UNSAMPLED), true),
        (Sampler::AlwaysOff, Some(PARENT), false),
        (Sampler::TraceIdRatioBased(0.0), None, false),
    ];
    for (sampler, parent, expected) in rows {
        let (kept, rpc) = (KeepingExporter::default(), rpc());
        let traces = start(kept.clone(), sampler.clone());
        let call = traces.call(&rpc, Protocol::Connect, parent.map(|parent| ("traceparent", parent)));
        let context = call.trace().context().unwrap().clone();
        assert_eq!(context.flags().is_sampled(), expected, "{sampler:?} {parent:?}");
        if let Some(parent) = parent.and_then(TraceContext::parse) {
            assert_eq!(context.trace_id(), parent.trace_id(), "{sampler:?}");
            assert_ne!(context.span_id(), parent.span_id(), "{sampler:?}");
        }
        call.trace().arrive(&name("one"), Timestamp(1_000), 7);
        call.trace().give_up();
        drop(call);
        traces.close(LONG).await;
        let statuses: Vec<_> = kept.0.lock().unwrap().iter().map(|span| span.status.clone()).collect();
        let given_up = Status::error("given up: the client left");
        let all = if expected { vec![given_up, Status::error("the client left")] } else { Vec::new() };
        assert_eq!(statuses, all, "{sampler:?} {parent:?}");
    }
}

#[test]
fn contexts_pass_unchanged_without_an_exporter() {
    let (traces, rpc) = (Traces::default(), rpc());
    let call = traces.call(&rpc, Protocol::Grpc, [("traceparent", PARENT), ("tracestate", "a=1")]);
    let headers: Vec<_> = call.trace().context().unwrap().headers().collect();
    assert_eq!(headers, [("traceparent", PARENT.to_owned()), ("tracestate", "a=1".to_owned())]);
    assert_eq!(call.trace().of_node(), call.trace().context().cloned());
    assert_eq!(call.trace().clock(), None, "nobody needs to know the time");
    assert!(traces.call(&rpc, Protocol::Grpc, []).trace().context().is_none());
}

#[tokio::test]
async fn messages_of_other_processes_continue_the_trace() {
    for (context, expected) in [(Some(PARENT), 3), (Some(UNSAMPLED), 0), (None, 0)] {
        let kept = KeepingExporter::default();
        let traces = start(kept.clone(), parent_based());
        let context = context.and_then(TraceContext::parse);
        let trace = traces.follow(context.clone(), &name("w"));
        trace.name(&"id".into());
        assert_eq!(trace.context(), context.as_ref());
        trace.arrive(&name("one"), Timestamp(1_000), 7);
        trace.leave(|| hop_end(None));
        traces.close(LONG).await;
        let spans = kept.0.lock().unwrap();
        assert_eq!(spans.len(), expected);
        if let (Some(context), Some(node)) = (context, spans.first()) {
            assert_eq!(node.parent_span_id, context.span_id());
            assert_eq!(attribute(node, "krt.request_id").as_deref(), Some("id"));
        }
    }
}

#[tokio::test]
async fn stuck_exporters_block_no_requests() {
    let (traces, rpc) = (start(Stuck, parent_based()), rpc());
    for _ in 0..1_000 {
        traces.call(&rpc, Protocol::Grpc, []).end(None);
    }
    traces.close(Duration::from_millis(1)).await;
}
