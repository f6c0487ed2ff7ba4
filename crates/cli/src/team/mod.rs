//! A client of `krt serve`: its API, as somebody who has signed in.
//!
//! - [`login`]: which server, and the token.
//! - [`refused`]: what the server says against something.
//! - [`show`]: how what it tells is shown.

pub(crate) mod login;
mod refused;
pub(crate) mod show;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use futures::{Stream, TryStreamExt as _};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use login::Login;
use refused::Refused;
use serde_json::Value;
use std::{io, path::Path};
use tokio_util::io::ReaderStream;

/// What a command of a server's takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct TeamArgs {
    /// The server, such as https://krt.example:9001 [default: that of `krt login`]
    #[arg(long, value_name = "URL", env = "KRT_SERVER", global = true)]
    server: Option<String>,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

type Body = BoxBody<Bytes, io::Error>;

/// A server.
pub(crate) struct Api {
    http: Client<HttpsConnector<HttpConnector>, Body>,
    base: String,
    token: Option<String>,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl TeamArgs {
    /// The server that is meant, with the token for it.
    pub(crate) fn open(&self) -> anyhow::Result<Api> {
        let login = Login::find(self.server.as_deref())?;
        Api::new(&login.server, Some(login.token))
    }
}

impl Api {
    /// A server at a URL.
    pub(crate) fn new(server: &str, token: Option<String>) -> anyhow::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .context("failed to read the certificates that the system trusts")?
            .https_or_http()
            .enable_http1()
            .build();
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, base: server.trim_end_matches('/').to_owned(), token })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.send(Method::GET, path, &[], None).await?.json)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        Ok(self.send(Method::POST, path, &[], Some(body)).await?.json)
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        Ok(self.send(Method::PUT, path, &[], Some(body)).await?.json)
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(Method::DELETE, path, &[], None).await.map(drop)
    }

    /// Sends a request with more headers, and JSON where there is some.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let kind = [("content-type", "application/json")];
        let headers: Vec<_> = headers.iter().chain(body.map_or(&[][..], |_| &kind)).copied().collect();
        self.exchange(method, path, &headers, whole(text)).await
    }

    /// Sends a file.
    pub(crate) async fn upload(&self, path: &str, file: &Path) -> anyhow::Result<Value> {
        let shown = file.display();
        let open = tokio::fs::File::open(file).await.with_context(|| format!("failed to read `{shown}`"))?;
        let size = open.metadata().await?.len().to_string();
        let frames = ReaderStream::new(open).map_ok(http_body::Frame::data);
        let headers = [("content-type", "application/octet-stream"), ("content-length", &*size)];
        let body = BodyExt::boxed(StreamBody::new(frames));
        Ok(self.exchange(Method::POST, path, &headers, body).await?.json)
    }

    /// Follows live events: each one's data.
    pub(crate) async fn follow(
        &self,
        path: &str,
    ) -> anyhow::Result<impl Stream<Item = anyhow::Result<Bytes>> + use<>> {
        let response = self.request(Method::GET, path, &[], whole("")).await?;
        if !response.status().is_success() {
            return Err(read(response).await.err().unwrap_or_else(|| anyhow::anyhow!("no events came")));
        }
        let data = response.into_body().into_data_stream();
        Ok(data.map_err(|error| anyhow::Error::new(error).context("the server ended the events")))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> anyhow::Result<Answer> {
        read(self.request(method, path, headers, body).await?).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> anyhow::Result<http::Response<hyper::body::Incoming>> {
        let mut request = Request::builder().method(method).uri(format!("{}/api/v1{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(body).with_context(|| format!("`{}` is no server's URL", self.base))?;
        self.http.request(request).await.with_context(|| format!("failed to reach `{}`", self.base))
    }
}

fn whole(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

async fn read(response: http::Response<hyper::body::Incoming>) -> anyhow::Result<Answer> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.context("the server's answer broke off")?.to_bytes();
    if head.status == StatusCode::NO_CONTENT {
        return Ok(Answer { headers: head.headers, json: Value::Null });
    }
    let json = serde_json::from_slice(&body);
    if head.status.is_success() {
        let json = json.context("the server's answer is no JSON; hint: is it a `krt serve`?")?;
        return Ok(Answer { headers: head.headers, json });
    }
    Err(Refused::new(head.status, json.unwrap_or_default()).into())
}
