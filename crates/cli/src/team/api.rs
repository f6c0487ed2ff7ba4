//! Requests to a server's API, and its responses.

use super::{
    CommentArgs, Server,
    api_error::{ApiError, Refused},
    auth::AuthSource,
    connector::{Connector, connector, unreachable},
    query,
};
use crate::error::{Context as _, Error, Result};
use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use indicatif::ProgressBar;
use krt_api::version::Version;
use krt_model::escape;
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, io, path::Path, time::Duration};
use tokio::{fs::File, io::AsyncBufRead};
use tokio_util::io::{ReaderStream, StreamReader};

/// The timeout for the response to a small request.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The number of bytes read from a file at once.
const CHUNK: usize = 64 << 10;

type Body = BoxBody<Bytes, io::Error>;

/// A server, with authentication.
pub(crate) struct Api {
    http: Client<Connector, Body>,
    server: Server,
    by: AuthSource,
}

/// A server's response.
pub(crate) struct Answer<T> {
    pub(crate) headers: HeaderMap,
    pub(crate) content: T,
}

impl Api {
    /// Opens a server with the given authentication.
    pub(crate) fn open(server: Server, by: AuthSource, cacert: Option<&Path>) -> Result<Self> {
        let http = Client::builder(TokioExecutor::new()).build(connector(&server, cacert)?);
        Ok(Self { http, server, by })
    }

    /// The same server with other authentication.
    pub(crate) fn by(&self, by: AuthSource) -> Self {
        Self { http: self.http.clone(), server: self.server.clone(), by }
    }

    /// The server's URL.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.exchange(Method::GET, path, None).await.map(|answer| answer.content)
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.send(Method::POST, path, body).await.map(|answer| answer.content)
    }

    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.send(Method::PUT, path, body).await.map(|answer| answer.content)
    }

    pub(crate) async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.send(Method::PATCH, path, body).await.map(|answer| answer.content)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        self.exchange(Method::DELETE, path, None).await.map(|answer: Answer<()>| answer.content)
    }

    /// Deletes something, with the reason for it.
    pub(crate) async fn delete_because(&self, path: &str, reason: &CommentArgs) -> Result<()> {
        self.delete(&format!("{path}?{}", query(&[("comment", &reason.comment)]))).await
    }

    /// Sends a request with JSON.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer<T>> {
        let text = serde_json::to_string(body).context("the request cannot be written as JSON")?;
        self.exchange(method, path, Some(text)).await
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<Answer<T>> {
        let kind = json.as_ref().map(|_| ("content-type", "application/json".to_owned()));
        let exchange = async {
            let body = full_body(json.unwrap_or_default());
            let response = self.request(method, path, kind.into_iter().collect(), body).await?;
            self.read(response).await
        };
        let answered = tokio::time::timeout(TIMEOUT, exchange).await;
        answered
            .with_context(|| format!("`{}` did not answer within {} s", self.server, TIMEOUT.as_secs()))?
    }

    /// Uploads a file; a bar shows the progress.
    pub(crate) async fn upload(&self, path: &str, file: &Path, bar: &ProgressBar) -> Result<Version> {
        let unreadable = || format!("failed to read `{}`", file.display());
        let open = File::open(file).await.with_context(unreadable)?;
        let size = open.metadata().await.with_context(unreadable)?.len();
        bar.set_length(size);
        let bar = bar.clone();
        let chunks =
            ReaderStream::with_capacity(open, CHUNK).inspect_ok(move |chunk| bar.inc(chunk.len() as u64));
        let body = BodyExt::boxed(StreamBody::new(chunks.map_ok(http_body::Frame::data)));
        let kind = ("content-type", "application/octet-stream".to_owned());
        let headers = vec![kind, ("content-length", size.to_string())];
        let response = self.request(Method::POST, path, headers, body).await?;
        self.read(response).await.map(|answer| answer.content)
    }

    /// Follows live events after the one with an id; returns their lines.
    pub(crate) async fn follow(&self, path: &str, after: i64) -> Result<impl AsyncBufRead + Unpin + use<>> {
        let headers = vec![("last-event-id", after.to_string())];
        let response = self.request(Method::GET, path, headers, full_body("")).await?;
        let response =
            if response.status().is_success() { response } else { return Err(self.refused(response).await) };
        Ok(StreamReader::new(response.into_body().into_data_stream().map_err(io::Error::other)))
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: Vec<(&'static str, String)>,
        body: Body,
    ) -> Result<Response<Incoming>> {
        let agent = concat!("krt/", env!("CARGO_PKG_VERSION"));
        let request = Request::builder().method(method).uri(self.server.path(path));
        let request = request.header(header::USER_AGENT, agent);
        let headers = self.by.headers().into_iter().chain(headers);
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        let request = request.body(body).context("invalid token: contains illegal characters")?;
        self.http.request(request).await.map_err(|error| unreachable(&self.server, error))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response<Incoming>) -> Result<Answer<T>> {
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let (head, body) = response.into_parts();
        let mut body = read_body(body).await?;
        if head.status == StatusCode::NO_CONTENT {
            body = Bytes::from_static(b"null");
        }
        match serde_json::from_slice(&body) {
            Ok(content) => Ok(Answer { headers: head.headers, content }),
            Err(error) if error.is_data() => {
                let error = error.to_string();
                let why = format!("the answer is of another form: {}", escape::line(&error));
                Err(self.unexpected_response(why).into())
            }
            Err(_) => Err(self.unexpected_response("the answer is not JSON").into()),
        }
    }

    /// The error for a response that does not come from a `krt serve` server.
    pub(crate) fn unexpected_response(&self, why: impl fmt::Display) -> ApiError {
        ApiError::unexpected_response(&self.server, why)
    }

    /// The error for a refused request.
    async fn refused(&self, response: Response<Incoming>) -> Error {
        let (head, body) = response.into_parts();
        let error = read_body(body).await.ok().and_then(|body| serde_json::from_slice(&body).ok());
        let no = match error {
            Some(body) => {
                Refused { status: head.status, body, headers: &head.headers }.to_error(&self.server, &self.by)
            }
            None => self.unexpected_response(format!("it answers {}", head.status)),
        };
        no.into()
    }
}

fn full_body(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

async fn read_body(body: Incoming) -> Result<Bytes> {
    Ok(body.collect().await.context("the server's answer ended early")?.to_bytes())
}
