//! A bare tonic echo server: the reference for the entrypoint.
//!
//! It uses tonic's defaults and nothing more. The message and the method are those of
//! `bench/chain/chain.proto`, written by hand, so that the build needs no protoc.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io::Write as _,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::Service;

/// `chain.Work`.
#[derive(Clone, PartialEq, prost::Message)]
struct Work {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(int64, tag = "2")]
    steps: i64,
    #[prost(double, repeated, tag = "3")]
    values: Vec<f64>,
}

/// Answers each message with itself.
struct Echo;

impl UnaryService<Work> for Echo {
    type Response = Work;
    type Future = Ready<Result<Response<Work>, Status>>;

    fn call(&mut self, request: Request<Work>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

/// `chain.Entrypoint` with its one method.
#[derive(Clone)]
struct Entrypoint;

impl NamedService for Entrypoint {
    const NAME: &'static str = "chain.Entrypoint";
}

impl Service<http::Request<Body>> for Entrypoint {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != "/chain.Entrypoint/Run" {
            return Box::pin(ready(Ok(Status::unimplemented("there is only `Run`").into_http())));
        }
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(Echo, request).await) })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    #[expect(clippy::disallowed_methods, reason = "it prints its own address")]
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder().add_service(Entrypoint).serve_with_incoming(connections).await?;
    Ok(())
}
