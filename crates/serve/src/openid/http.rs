//! The HTTP client for the provider, with limits and without redirects.

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use std::{error::Error as StdError, io, time::Duration};

/// The timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// A client for a provider.
#[derive(Debug)]
pub(super) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why a request to the provider fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Late,
    #[error(transparent)]
    Request(#[from] hyper_util::client::legacy::Error),
    #[error("its answer cannot be read: {0}")]
    Answer(Box<dyn StdError + Send + Sync>),
}

impl Http {
    /// Builds the client; opens no connection yet.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Client::builder(TokioExecutor::new()).build(krt_remote::https()?)))
    }
}

impl<'a> AsyncHttpClient<'a> for Http {
    type Error = Error;
    type Future = BoxFuture<'a, Result<HttpResponse, Error>>;

    fn call(&'a self, request: HttpRequest) -> Self::Future {
        let exchange = async {
            let (head, body) = self.0.request(request.map(|body| Full::new(body.into()))).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(Error::Answer)?;
            Ok(HttpResponse::from_parts(head, body.to_bytes().into()))
        };
        tokio::time::timeout(TIMEOUT, exchange).map(|answer| answer.unwrap_or(Err(Error::Late))).boxed()
    }
}
