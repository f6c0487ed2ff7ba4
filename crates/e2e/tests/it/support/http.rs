//! A plain HTTP client.

use super::TIMEOUT;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use tonic::body::Body;

pub(super) type Transport = Client<HttpConnector, Body>;

/// A transport with HTTP/2 by prior knowledge, as in gRPC.
pub(super) fn http2() -> Transport {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

/// A client of one service.
pub(crate) struct Http {
    transport: Transport,
    address: SocketAddr,
}

/// A response.
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

    /// Asserts the status; returns the body as JSON.
    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// Asserts the status; returns the body as a type of the API.
    #[track_caller]
    pub(crate) fn read<T: DeserializeOwned>(&self, status: StatusCode) -> T {
        assert_eq!(self.status, status, "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's text; empty if missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers here are ASCII"))
    }
}

/// A live stream.
pub(crate) struct Live {
    body: Incoming,
    text: String,
}

impl Live {
    /// Waits until a text has arrived.
    pub(crate) async fn until(&mut self, text: &str) {
        while !self.text.contains(text) {
            assert!(self.more().await, "it ended before {text:?} came: {}", self.text);
        }
    }

    /// Waits for the end; returns everything received.
    pub(crate) async fn end(mut self) -> String {
        while self.more().await {}
        self.text
    }

    async fn more(&mut self) -> bool {
        let frame = tokio::time::timeout(TIMEOUT, self.body.frame()).await;
        let Some(frame) = frame.expect("something comes in time") else { return false };
        match frame.expect("the stream is whole").into_data() {
            Ok(data) => self.text.push_str(&String::from_utf8_lossy(&data)),
            Err(trailers) => self.text.push_str(&format!("{trailers:?}")),
        }
        true
    }
}

impl Http {
    pub(crate) fn one(address: SocketAddr) -> Self {
        Self { transport: Client::builder(TokioExecutor::new()).build_http(), address }
    }

    pub(crate) fn two(address: SocketAddr) -> Self {
        Self { transport: http2(), address }
    }

    /// The same client, from another address of this machine.
    pub(crate) fn from(&self, local: IpAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(local));
        let transport = Client::builder(TokioExecutor::new()).build(connector);
        Self { transport, address: self.address }
    }

    /// The service's address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same client, with separate connections.
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
        tokio::time::timeout(TIMEOUT, exchange).await.expect("there is an answer in time")
    }

    /// Opens a live stream.
    pub(crate) async fn open(&self, path: &str, headers: &[(&str, &str)]) -> Live {
        self.open_by(Method::GET, path, headers, Bytes::new()).await
    }

    /// Opens a live stream with a method and a body.
    pub(crate) async fn open_by(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Live {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Body::new(Full::new(body))).expect("tests name good headers");
        let response = self.transport.request(request).await.expect("there is an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        Live { body: response.into_body(), text: String::new() }
    }

    /// POSTs a body.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        self.send(Method::POST, path, headers, body).await
    }

    /// Sends a body in chunks.
    pub(crate) async fn stream(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Reply {
        self.exchange(method, path, headers, body).await
    }

    /// POSTs a body in chunks.
    pub(crate) async fn post_stream(&self, path: &str, headers: &[(&str, &str)], body: Body) -> Reply {
        self.exchange(Method::POST, path, headers, body).await
    }

    /// POSTs JSON.
    pub(crate) async fn post_json(&self, path: &str, json: &Value) -> Reply {
        self.post(path, &[("content-type", "application/json")], json.to_string()).await
    }
}
