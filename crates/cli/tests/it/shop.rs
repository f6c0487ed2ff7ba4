//! A gRPC server that is not krt's.

use futures::{StreamExt as _, stream, stream::BoxStream};
use prost_types::{FileDescriptorSet, Timestamp};
use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    future::{Future, pending, ready},
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::runtime::Runtime;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{Service, http},
    metadata::KeyAndValueRef,
    server::{Grpc, NamedService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tonic_reflection::server::Builder;
use tower::service_fn;

const ENTRYPOINT: &str = "\
syntax = 'proto3';
package shop.v1;
import 'types.proto';
import 'google/protobuf/empty.proto';
service Entrypoint {
  rpc Price(PriceRequest) returns (PriceAnswer);
  rpc Headers(google.protobuf.Empty) returns (HeadersAnswer);
  rpc Watch(PriceRequest) returns (stream PriceAnswer);
  rpc Send(stream PriceRequest) returns (PriceAnswer);
}
service Admin {
  rpc Price(PriceRequest) returns (PriceAnswer);
}
";

const TYPES: &str = "\
syntax = 'proto3';
package shop.v1;
import 'google/protobuf/timestamp.proto';
message PriceRequest { string item = 1; int64 count = 2; repeated string tags = 3; }
message PriceAnswer { string item = 1; int64 cents = 2; google.protobuf.Timestamp at = 3; bool sold = 4; }
message HeadersAnswer { map<string, string> headers = 1; }
";

#[derive(Clone, prost::Message)]
struct PriceRequest {
    #[prost(string, tag = "1")]
    item: String,
    #[prost(int64, tag = "2")]
    count: i64,
}

#[derive(Clone, prost::Message)]
struct PriceAnswer {
    #[prost(string, tag = "1")]
    item: String,
    #[prost(int64, tag = "2")]
    cents: i64,
    #[prost(message, optional, tag = "3")]
    at: Option<Timestamp>,
}

#[derive(Clone, prost::Message)]
struct HeadersAnswer {
    #[prost(map = "string, string", tag = "1")]
    headers: HashMap<String, String>,
}

/// The server's reflection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reflection {
    pub(crate) v1: bool,
    pub(crate) v1alpha: bool,
    /// A file that reflection omits.
    pub(crate) without: &'static str,
}

impl Reflection {
    pub(crate) const BOTH: Self = Self { v1: true, v1alpha: true, without: "" };
}

/// A running server. Stops on drop.
pub(crate) struct Shop {
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl Shop {
    pub(crate) fn open(reflection: Reflection) -> Self {
        let runtime = Runtime::new().unwrap();
        let _inside = runtime.enter();
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = incoming.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let files = descriptors(reflection.without);
        let described = || Builder::configure().register_file_descriptor_set(files.clone());
        let v1 = reflection.v1.then(|| described().build_v1().unwrap());
        let v1alpha = reflection.v1alpha.then(|| described().build_v1alpha().unwrap());
        let server = Server::builder()
            .add_service(Counter(Arc::clone(&calls)))
            .add_optional_service(v1)
            .add_optional_service(v1alpha)
            .serve_with_incoming(incoming);
        runtime.spawn(server);
        Self { address, calls, runtime: Some(runtime) }
    }

    /// The number of calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn descriptors(without: &str) -> FileDescriptorSet {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.proto"), ENTRYPOINT).unwrap();
    std::fs::write(folder.path().join("types.proto"), TYPES).unwrap();
    let mut files = protox::compile(["shop.proto"], [folder.path()]).unwrap();
    files.file.retain(|file| file.name() != without);
    files
}

/// Answers calls, and counts them.
#[derive(Clone)]
struct Counter(Arc<AtomicUsize>);

impl NamedService for Counter {
    const NAME: &'static str = "shop.v1.Entrypoint";
}

impl Service<http::Request<Body>> for Counter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            Ok(if request.uri().path().ends_with("/Headers") {
                Grpc::new(ProstCodec::default()).unary(service_fn(headers), request).await
            } else if request.uri().path().ends_with("/Watch") {
                Grpc::new(ProstCodec::default()).server_streaming(service_fn(watch), request).await
            } else {
                Grpc::new(ProstCodec::default()).unary(service_fn(price), request).await
            })
        })
    }
}

/// One `slow` item is priced at a time.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn price(request: Request<PriceRequest>) -> Result<Response<PriceAnswer>, Status> {
    let PriceRequest { item, count } = request.into_inner();
    match item.as_str() {
        "never" => pending().await,
        "slow" => {
            let _turn = ONE_AT_A_TIME.lock().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Response::new(PriceAnswer { item, cents: count, at: None }))
        }
        "unknown" => Err(Status::internal("error in 'etl': no such item")),
        "mute" => Err(Status::aborted("")),
        _ => {
            let at = Some(Timestamp { seconds: 0, nanos: 0 });
            Ok(Response::new(PriceAnswer { item, cents: 250 * count, at }))
        }
    }
}

type Prices = BoxStream<'static, Result<PriceAnswer, Status>>;

/// Answers with `count` messages. Then fails for `unknown`, and never ends for `never`.
async fn watch(request: Request<PriceRequest>) -> Result<Response<Prices>, Status> {
    let PriceRequest { item, count } = request.into_inner();
    let answer = |cents| Ok(PriceAnswer { item: item.clone(), cents, at: None });
    let answers: Vec<_> = (1..=count).map(answer).collect();
    let end = match item.as_str() {
        "never" => stream::pending().boxed(),
        "unknown" => stream::iter([Err(Status::internal("error in 'etl': no such item"))]).boxed(),
        _ => stream::empty().boxed(),
    };
    Ok(Response::new(stream::iter(answers).chain(end).boxed()))
}

/// Returns the headers that the client set.
fn headers(request: Request<()>) -> impl Future<Output = Result<Response<HeadersAnswer>, Status>> {
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    let (metadata, ..) = request.into_parts();
    for entry in metadata.iter() {
        let (name, value) = match entry {
            KeyAndValueRef::Ascii(name, value) => (name.to_string(), value.to_str().unwrap().to_owned()),
            KeyAndValueRef::Binary(name, value) => {
                (name.to_string(), format!("{:?}", &value.to_bytes().unwrap()[..]))
            }
        };
        headers.entry(name).or_default().push(value);
    }
    let headers = headers.into_iter().map(|(name, values)| (name, values.join(", "))).collect();
    ready(Ok(Response::new(HeadersAnswer { headers })))
}
