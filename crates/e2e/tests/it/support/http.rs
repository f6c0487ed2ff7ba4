//! A plain HTTP client.

use super::PATIENCE;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::net::SocketAddr;
use tonic::body::Body;

pub(super) type Transport = Client<HttpConnector, Body>;

/// A transport that speaks HTTP/2 at once, as gRPC does.
pub(super) fn http2() -> Transport {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

/// A client of one service.
pub(crate) struct Http {
    transport: Transport,
    address: SocketAddr,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as JSON, of an answer with that status.
    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// A header's text; empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers here are ASCII"))
    }
}

impl Http {
    pub(crate) fn one(address: SocketAddr) -> Self {
        Self { transport: Client::builder(TokioExecutor::new()).build_http(), address }
    }

    pub(super) fn two(address: SocketAddr) -> Self {
        Self { transport: http2(), address }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, with connections of its own.
    pub(crate) fn again(&self) -> Self {
        Self::one(self.address)
    }

    /// Sends a request.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        self.exchange(method, path, headers, Body::new(Full::new(body.into()))).await
    }

    async fn exchange(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Reply {
        let uri = format!("http://{}{path}", self.address);
        let request = Request::builder().method(method).uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(body).expect("tests name good headers");
        let exchange = async {
            let response = self.transport.request(request).await.expect("there is an answer");
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("the answer is whole").to_bytes();
            Reply { status: head.status, headers: head.headers, body }
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("there is an answer in time")
    }

    /// POSTs a body.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        self.send(Method::POST, path, headers, body).await
    }

    /// POSTs a body that comes piece by piece.
    pub(crate) async fn post_stream(&self, path: &str, headers: &[(&str, &str)], body: Body) -> Reply {
        self.exchange(Method::POST, path, headers, body).await
    }

    /// POSTs JSON.
    pub(crate) async fn post_json(&self, path: &str, json: &Value) -> Reply {
        self.post(path, &[("content-type", "application/json")], json.to_string()).await
    }
}
