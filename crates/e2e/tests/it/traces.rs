//! Traces: W3C trace context in, OTLP out.

use crate::{
    script,
    support::{
        Krt, Service, TIMEOUT,
        lines::{Lines, Record},
        otlp::{Receiver, Spans, attribute, fault},
        tls::SelfSigned,
    },
};
use http::Method;
use serde_json::{Value, json};
use std::{fs, net::TcpListener, path::Path, sync::Arc, time::Duration};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tonic::{Code, Request};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn traced(package: &str, receiver: &Receiver) -> Krt {
    Krt::run(package).env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)
}

/// Calls the chain with headers.
async fn run(service: &Service, headers: &[(&'static str, &str)]) {
    let mut request = Request::new(json!({ "text": "x" }));
    for &(name, value) in headers {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    let answer = service.client().call_by("Run", request).await.unwrap();
    assert_eq!(answer, json!({ "text": "x one two three" }));
}

/// Asserts the spans of one request through the chain.
fn assert_chain(spans: &Spans) {
    assert_eq!(spans.0.len(), 1 + 3 * 4, "{spans:#?}");
    let server = spans.one("ping.Entrypoint/Run");
    let expected = [
        ("rpc.system", "grpc"),
        ("rpc.service", "ping.Entrypoint"),
        ("rpc.method", "Run"),
        ("rpc.grpc.status_code", "0"),
        ("krt.workflow", "chain"),
        ("krt.version", "chain-v1"),
    ];
    for (key, value) in expected {
        assert_eq!(attribute(&server.attributes, key).as_deref(), Some(value), "{key}");
    }
    let request = attribute(&server.attributes, "krt.request_id");
    assert!(request.is_some());
    let nodes = spans.children(server);
    let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["process one", "process two", "process three"]);
    for node in nodes {
        assert_eq!(spans.names_below(node), ["handler", "queue wait", "serialise"], "{}", node.name);
        let name = attribute(&node.attributes, "krt.node").unwrap();
        assert_eq!(node.name, format!("process {name}"));
        assert_eq!(attribute(&node.attributes, "krt.request_id"), request);
        for child in spans.children(node) {
            assert!(node.start_time_unix_nano <= child.start_time_unix_nano, "{child:?}");
            assert!(child.start_time_unix_nano <= child.end_time_unix_nano, "{child:?}");
            assert!(child.end_time_unix_nano <= node.end_time_unix_nano, "{child:?}");
        }
    }
    for span in &spans.0 {
        assert_eq!((span.trace_id.as_slice(), fault(span)), (server.trace_id.as_slice(), ""), "{span:?}");
    }
}

#[tokio::test]
async fn a_chain_by_either_protocol() {
    for (protocol, path) in [
        ("grpc", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        ("http/protobuf", "/v1/traces"),
    ] {
        let receiver = Receiver::start().await;
        let service = traced("chain", &receiver)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret")
            .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
            .flag("--log-level", "debug")
            .start()
            .await;
        run(&service, &[("traceparent", &traceparent("01")), ("tracestate", "a=1")]).await;
        let ended = service.stop().await;
        let spans = receiver.spans();
        assert_chain(&spans);
        let server = spans.one("ping.Entrypoint/Run");
        let place = (hex(&server.trace_id), hex(&server.parent_span_id), server.trace_state.as_str());
        assert_eq!(place, (TRACE.to_owned(), PARENT.to_owned(), "a=1"), "{protocol}");
        for batch in receiver.batches() {
            assert_eq!(
                (batch.path.as_str(), &batch.headers["authorization"]),
                (path, &"s3cret".parse().unwrap())
            );
            let resource = batch.message.resource_spans[0].resource.as_ref().unwrap();
            assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("chain-v1"));
            let given = attribute(&resource.attributes, "deployment.environment.name");
            assert_eq!(given.as_deref(), Some("test"));
        }
        assert!(!ended.lines.text().contains("s3cret"), "{}", ended.lines.text());
    }
}

/// A receiver with a certificate that requires a client certificate.
async fn receiver(shown: &SelfSigned, asked: &SelfSigned) -> Receiver {
    let mut trusted = RootCertStore::empty();
    trusted.add(asked.made.cert.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let asks = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::from_pem_file(&shown.key).unwrap();
    let mut config = config
        .with_client_cert_verifier(asks.build().unwrap())
        .with_single_cert(vec![shown.made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Receiver::start_with_tls(config).await
}

#[tokio::test]
async fn over_tls_by_either_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let [server, client] = ["server", "client"].map(|name| SelfSigned::new(folder.path(), name));
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = receiver(&server, &client).await;
        let start = async |authorities: &Path| {
            traced("chain", &receiver)
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
                .env("OTEL_EXPORTER_OTLP_CERTIFICATE", authorities)
                .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &client.certificate)
                .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", &client.key)
                .start()
                .await
        };
        let service = start(&server.certificate).await;
        run(&service, &[]).await;
        service.stop().await;
        assert_chain(&receiver.spans());

        // It sends nothing to an untrusted receiver.
        let service = start(&client.certificate).await;
        run(&service, &[]).await;
        let log = service.stop().await.lines.text();
        assert!(log.contains("requests go on without"), "{protocol}: {log}");
        assert_eq!(receiver.spans().0.len(), 13, "{protocol}");
    }
}

#[tokio::test]
async fn unusable_certificates_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| SelfSigned::new(folder.path(), name));
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let none = folder.path().join("none.pem");
    for protocol in ["grpc", "http/protobuf"] {
        for (authorities, key, why) in [
            (&none, &one.key, "none.pem"),
            (&empty, &one.key, "empty.pem` has no certificate"),
            (&one.certificate, &other.key, "do not go together"),
        ] {
            let service = Krt::run("chain")
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4317")
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
                .env("OTEL_EXPORTER_OTLP_CERTIFICATE", authorities)
                .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &one.certificate)
                .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", key)
                .start()
                .await;
            let log = service.stop().await.lines.text();
            assert!(log.contains("traces are not exported") && log.contains(why), "{protocol}: {log}");
        }
    }
}

#[tokio::test]
async fn compressed_batches_are_sent_during_operation() {
    let receiver = Receiver::start().await;
    let service = Krt::run("chain")
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/there", receiver.endpoint))
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_SERVICE_NAME", "shop")
        .env("OTEL_BSP_SCHEDULE_DELAY", "10")
        .start()
        .await;
    run(&service, &[]).await;
    receiver.wait(1).await;
    let batch = &receiver.batches()[0];
    assert_eq!(batch.path, "/there");
    assert_eq!(batch.headers["content-encoding"], "gzip");
    let resource = batch.message.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("shop"));
    service.stop().await;
}

#[tokio::test]
async fn sampled_traces() {
    let unsampled = traceparent("00");
    let rows = [
        (None, "parentbased_always_on", true),
        (Some("nonsense"), "parentbased_always_on", true),
        (Some(&*unsampled), "parentbased_always_on", false),
        (Some(&*unsampled), "always_on", true),
        (None, "parentbased_always_off", false),
        (None, "no_sampler", true),
    ];
    for (parent, sampler, kept) in rows {
        let receiver = Receiver::start().await;
        let service = traced("chain", &receiver).env("OTEL_TRACES_SAMPLER", sampler).start().await;
        let headers = parent.map(|parent| ("traceparent", parent));
        run(&service, headers.as_slice()).await;
        let ended = service.stop().await;
        let spans = receiver.spans();
        if kept {
            assert_chain(&spans);
            let server = spans.one("ping.Entrypoint/Run");
            let goes_on = hex(&server.trace_id) == TRACE;
            assert_eq!(goes_on, parent == Some(&*unsampled));
            assert_eq!(server.parent_span_id.is_empty(), !goes_on, "{server:?}");
        } else {
            assert_eq!(spans.0, [], "{parent:?} {sampler}");
        }
        let warned = ended.lines.text().contains("the variable OTEL_TRACES_SAMPLER is not understood");
        assert_eq!(warned, sampler == "no_sampler");
    }
}

#[tokio::test]
async fn a_disabled_sdk_exports_nothing() {
    let receiver = Receiver::start().await;
    let service = traced("chain", &receiver).env("OTEL_SDK_DISABLED", "true").start().await;
    run(&service, &[("traceparent", &traceparent("01"))]).await;
    let ended = service.stop().await;
    assert_eq!(receiver.spans().0, []);
    assert!(!ended.lines.text().contains("traces"), "{}", ended.lines.text());
}

#[tokio::test]
async fn failed_spans_have_the_error_message() {
    let receiver = Receiver::start().await;
    let service = traced("statuses", &receiver).start().await;
    let failed = service.call("Act", json!({ "way": "fail", "text": "no luck" })).await.unwrap_err();
    service.stop().await;
    let spans = receiver.spans();
    assert_eq!(fault(spans.one("process relay")), "");
    assert_eq!(fault(spans.one("process worker")), failed.message());
    let server = spans.one("statuses.Entrypoint/Act");
    assert!(failed.message().contains("no luck"));
    assert_eq!(fault(server), failed.message());
    let code = attribute(&server.attributes, "rpc.grpc.status_code");
    assert_eq!(code, Some((failed.code() as i32).to_string()));
}

#[tokio::test]
async fn spans_of_requests_past_their_deadline() {
    let receiver = Receiver::start().await;
    let service = traced("statuses", &receiver).start().await;
    let wait = json!({ "way": "wait", "text": "never" });
    let failed = service.call_within(Duration::from_millis(500), "Act", wait).await.unwrap_err();
    assert_eq!(failed.code(), Code::DeadlineExceeded);
    service.stop().await;
    let spans = receiver.spans();
    assert_eq!(fault(spans.one("process relay")), "");
    let server = spans.one("statuses.Entrypoint/Act");
    assert_eq!(attribute(&server.attributes, "rpc.grpc.status_code").as_deref(), Some("4"));
    let cut = spans.children(server)[1];
    assert_eq!(fault(cut), "given up: the client left");
}

#[tokio::test]
async fn each_attempt_has_a_span() {
    let receiver = Receiver::start().await;
    let service = traced("statuses", &receiver).start().await;
    service.call("Steady", json!({ "way": "die_once", "text": "once" })).await.unwrap();
    service.stop().await;
    let spans = receiver.spans();
    let tries = spans.children(spans.one("statuses.Entrypoint/Steady"));
    let faults: Vec<_> = tries.into_iter().map(fault).collect();
    assert_eq!(faults.len(), 2, "{spans:#?}");
    assert!(faults.contains(&""), "{faults:?}");
    assert!(faults.contains(&"its process died: another one gets the message"), "{faults:?}");
}

#[tokio::test]
async fn early_replies_are_events_and_later_work_stays_in_the_trace() {
    let receiver = Receiver::start().await;
    let service = traced("context", &receiver).start().await;
    service.call("Act", json!({ "act": "reply" })).await.unwrap();
    service.scratch.put("go");
    service.scratch.wait("last ran").await;
    service.stop().await;
    let spans = receiver.spans();
    let server = spans.0.iter().find(|span| span.name.ends_with("/Act")).unwrap();
    assert_eq!(spans.names_below(server), ["process first", "process last"]);
    let first = spans.one("process first");
    assert_eq!(first.events.len(), 1, "{first:?}");
    let event = &first.events[0];
    assert_eq!(event.name, "early reply");
    assert!(event.time_unix_nano < server.end_time_unix_nano, "{event:?} {server:?}");
    assert!(server.end_time_unix_nano < first.end_time_unix_nano, "the handler went on");
}

#[tokio::test]
async fn plain_data_and_http_calls_have_the_same_spans() {
    let receiver = Receiver::start().await;
    let service = traced("plain", &receiver).start().await;
    let headers = [("content-type", "application/json"), ("traceparent", &traceparent("01"))];
    let request = json!({ "act": "greet", "name": "Ada" }).to_string();
    let reply = service.http().send(Method::POST, "/plain.Entrypoint/Alone", &headers, request).await;
    assert_eq!(reply.json(), json!({ "text": "Hello Ada!" }));
    let request = json!({ "act": "no_map" }).to_string();
    let reply = service.http().send(Method::POST, "/plain.Entrypoint/Two", &headers, request).await;
    assert_eq!(reply.status, 500);
    service.stop().await;
    let spans = receiver.spans();
    let server = spans.one("plain.Entrypoint/Alone");
    assert_eq!((hex(&server.trace_id), hex(&server.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(attribute(&server.attributes, "rpc.system").as_deref(), Some("connect_rpc"));
    let stages = ["deserialise", "handler", "queue wait", "serialise"];
    assert_eq!(spans.names_below(spans.children(server)[0]), stages);
    let failed = spans.one("plain.Entrypoint/Two");
    assert_eq!(attribute(&failed.attributes, "rpc.connect_rpc.error_code").as_deref(), Some("internal"));
    assert_eq!(fault(failed), reply.json()["message"]);
}

#[tokio::test]
async fn handlers_continue_the_trace() {
    let receiver = Receiver::start().await;
    let service = traced("script", &receiver).start().await;
    let headers = script::value(&service, "return ctx.trace_headers()").await;
    service.stop().await;
    let spans = receiver.spans();
    let node = spans.0.iter().find(|span| span.name.starts_with("process ")).unwrap();
    let traceparent = format!("00-{}-{}-03", hex(&node.trace_id), hex(&node.span_id));
    assert_eq!(headers, json!({ "traceparent": traceparent }));
}

#[tokio::test]
async fn handlers_get_client_headers_without_a_receiver() {
    let service = script::start().await;
    let code = "return ctx.trace_headers()";
    assert_eq!(script::value(&service, code).await, json!({}));
    let mut request = Request::new(json!({ "code": [code] }));
    request.metadata_mut().insert("traceparent", traceparent("00").parse().unwrap());
    request.metadata_mut().insert("tracestate", "a=\"1\"".parse().unwrap());
    let answer = service.client().call_by("One", request).await.unwrap();
    let headers: Value = serde_json::from_str(answer["text"].as_str().unwrap()).unwrap();
    assert_eq!(headers, json!({ "traceparent": traceparent("00"), "tracestate": "a=\"1\"" }));
    service.stop().await;
}

/// The lines about traces except the first one, which describes their export.
fn messages(lines: &Lines) -> Vec<String> {
    let records = lines.records().into_iter().map(|record| record.message);
    let mut messages: Vec<_> = records.filter(|message| message.contains("traces are")).collect();
    assert!(messages.remove(0).starts_with("traces are exported by "), "{messages:?}");
    messages
}

#[tokio::test]
async fn an_unreachable_receiver_costs_one_log_line() {
    for protocol in ["grpc", "http/protobuf"] {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let service = Krt::run("chain")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://ada:s3cret@{port}"))
            .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_BSP_SCHEDULE_DELAY", "1")
            .start()
            .await;
        run(&service, &[]).await;
        let failed = |record: &Record| record.message.starts_with("traces are not");
        assert_eq!(service.lines.wait("the failure", failed).await.level, "WARN");
        for _ in 0..100 {
            run(&service, &[]).await;
        }
        let ended = service.stop().await;
        let messages = messages(&ended.lines);
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(!ended.lines.text().contains("s3cret"), "{}", ended.lines.text());
    }
}

#[tokio::test]
async fn a_refusing_receiver_is_reported_once_until_it_recovers() {
    let receiver = Receiver::start().await;
    receiver.refuse(true);
    let service = traced("chain", &receiver).env("OTEL_BSP_SCHEDULE_DELAY", "1").start().await;
    for batches in 1..=3 {
        run(&service, &[]).await;
        receiver.wait(batches).await;
    }
    receiver.refuse(false);
    let again = async {
        let again = "traces are exported again; spans that were lost: ";
        service.lines.wait("success", |record| record.message.starts_with(again)).await
    };
    let more = async {
        loop {
            run(&service, &[]).await;
        }
    };
    tokio::select! {
        _ = again => {}
        () = more => {}
    }
    let messages = messages(&service.stop().await.lines);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(
        messages[0],
        "traces are not exported, requests go on without: Operation failed: HTTP export failed with status code: 400"
    );
}

#[tokio::test]
async fn a_silent_receiver_blocks_neither_requests_nor_the_end() {
    // The connection is never accepted.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let service = Krt::run("chain")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", (2 * TIMEOUT).as_millis().to_string())
        .env("OTEL_BSP_EXPORT_TIMEOUT", (2 * TIMEOUT).as_millis().to_string())
        .env("OTEL_BSP_SCHEDULE_DELAY", "1")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "16")
        .start()
        .await;
    for _ in 0..50 {
        run(&service, &[]).await;
    }
    service.stop().await;
}
