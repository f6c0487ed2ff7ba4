//! A trace receiver, with OTLP over gRPC and over HTTP.

use super::TIMEOUT;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;
use std::{
    convert::Infallible,
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// The bytes before a gRPC message.
const PREFIX: usize = 5;

/// A receiver on its own port. Stops on drop.
pub(crate) struct Receiver {
    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    batches: watch::Sender<Vec<Batch>>,
    refuses: AtomicBool,
}

/// The content of one request.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) message: ExportTraceServiceRequest,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::build(None).await
    }

    /// Starts a receiver with TLS.
    pub(crate) async fn start_with_tls(config: ServerConfig) -> Self {
        Self::build(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn build(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let batches = watch::Sender::new(Vec::new());
        let shared = Arc::new(Shared { batches, refuses: AtomicBool::new(false) });
        let endpoint = match &tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let task = tokio::spawn(Arc::clone(&shared).serve(listener, tls));
        Self { endpoint, shared, task }
    }

    /// Starts or stops to refuse requests permanently.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }

    /// The batches received so far.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.shared.batches.borrow().clone()
    }

    /// The spans received so far.
    pub(crate) fn spans(&self) -> Spans {
        let messages = self.batches().into_iter().flat_map(|batch| batch.message.resource_spans);
        let scopes = messages.flat_map(|resource| resource.scope_spans);
        Spans(scopes.flat_map(|scope| scope.spans).collect())
    }

    /// Waits for `count` requests.
    pub(crate) async fn wait(&self, count: usize) {
        let mut batches = self.shared.batches.subscribe();
        let come = batches.wait_for(|batches| batches.len() >= count);
        let come = tokio::time::timeout(TIMEOUT, come).await;
        come.expect("spans are exported").expect("the receiver is there");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let shared = Arc::clone(&self);
            let answer = move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(shared.answer(request).await) }
            };
            let builder = Builder::new(TokioExecutor::new());
            let tls = tls.clone();
            connections.spawn(async move {
                // Tests notice a client that disconnects early by its missing requests.
                _ = match tls {
                    None => builder.serve_connection(TokioIo::new(socket), service_fn(answer)).await,
                    Some(tls) => {
                        let Ok(socket) = tls.accept(socket).await else { return };
                        builder.serve_connection(TokioIo::new(socket), service_fn(answer)).await
                    }
                };
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("the body is whole").to_bytes();
        let is_grpc = head.headers.get("content-type").is_some_and(|kind| kind == "application/grpc");
        let message = body.slice(if is_grpc { PREFIX } else { 0 }..);
        let is_gzip = head.headers.get("content-encoding").is_some_and(|coding| coding == "gzip");
        let message = if is_gzip { gunzip(&message) } else { message };
        let message = ExportTraceServiceRequest::decode(message).expect("it is OTLP");
        let batch = Batch { path: head.uri.path().to_owned(), headers: head.headers, message };
        self.batches.send_modify(|batches| batches.push(batch));
        let refuses = self.refuses.load(Ordering::SeqCst);
        if is_grpc { by_grpc(refuses) } else { by_http(refuses) }
    }
}

fn gunzip(compressed: &[u8]) -> Bytes {
    let mut message = Vec::new();
    MultiGzDecoder::new(compressed).read_to_end(&mut message).expect("it is gzip as it says");
    message.into()
}

fn by_http(refuses: bool) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response =
        Response::new(Full::from(ExportTraceServiceResponse::default().encode_to_vec()).boxed());
    *response.status_mut() = if refuses { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    response
}

fn by_grpc(refuses: bool) -> Response<BoxBody<Bytes, Infallible>> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(if refuses { "3" } else { "0" }));
    let empty = Full::from(Bytes::from_static(&[0; PREFIX]));
    let mut response = Response::new(empty.with_trailers(async { Some(Ok(trailers)) }).boxed());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// A list of spans.
#[derive(Debug)]
pub(crate) struct Spans(pub(crate) Vec<Span>);

impl Spans {
    /// The only span with a name.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> &Span {
        let named: Vec<_> = self.0.iter().filter(|span| span.name == name).collect();
        let [span] = named[..] else { panic!("{} spans are called `{name}`: {self:#?}", named.len()) };
        span
    }

    /// The children of a span, by start time.
    pub(crate) fn children(&self, parent: &Span) -> Vec<&Span> {
        let mut children: Vec<_> =
            self.0.iter().filter(|span| span.parent_span_id == parent.span_id).collect();
        children.sort_by_key(|span| span.start_time_unix_nano);
        children
    }

    /// The names of the children of a span, sorted.
    pub(crate) fn names_below(&self, parent: &Span) -> Vec<&str> {
        let mut names: Vec<_> = self.children(parent).iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

/// An attribute's text.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("`{key}` is {other:?}"),
    })
}

/// The error message of a span; empty without an error.
pub(crate) fn fault(span: &Span) -> &str {
    const ERROR: i32 = 2;
    match &span.status {
        Some(status) if status.code == ERROR => &status.message,
        _ => "",
    }
}
