//! InfluxDB's write endpoints, over the embedded measurements.
//!
//! - [`mod@line`]: parses points from line protocol.
//! - [`target`]: the endpoint of a request, and its authorization.
//! - [`body`]: reads whole bodies within bounds.
//! - [`answer`]: the answers to clients.
//!
//! `/api/v2/write` and `/write` accept points for any bucket or database: there is one store. Invalid parts
//! of a request are reported as InfluxDB does, and the other points are stored. Queries are refused: `krt
//! data` and the dashboard show the measurements.

mod answer;
mod body;
#[cfg(fuzzing)]
pub mod fuzzing;
mod line;
mod target;

use crate::{accept, secret::Secret};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use krt_store::Store;
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

/// The most open connections.
const MAX_CONNECTIONS: usize = 256;
/// The timeout for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A server for InfluxDB's protocol, bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// The state shared by all connections.
#[derive(Debug)]
struct Shared {
    store: Store,
    secret: Secret,
    /// Limits the bodies being read.
    budget: Semaphore,
}

impl Server {
    /// Binds to a free port of the loopback. Points go to the measurements of `store`.
    pub async fn bind(store: Store) -> io::Result<Self> {
        let listener = accept::bind().await?;
        let shared =
            Shared { store, secret: Secret::generate()?, budget: Semaphore::new(body::MAX_CONCURRENT) };
        Ok(Self { address: listener.local_addr()?, listener, shared: Arc::new(shared) })
    }

    /// The URL for clients. Its path is the token: runners of KRT v1 send an empty token of their own.
    pub fn url(&self) -> String {
        format!("http://{}/{}", self.address, self.shared.secret.reveal())
    }

    /// The token, for clients that send one.
    pub fn token(&self) -> &str {
        self.shared.secret.reveal()
    }

    /// Serves until `shutdown` is cancelled.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { listener, shared, .. } = self;
        accept::run(listener, MAX_CONNECTIONS, shutdown, |stream| serve(Arc::clone(&shared), stream)).await;
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let answer = move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer::answer(&shared, request).await) }
    };
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await {
        tracing::debug!("a client of the measurements disconnected: {error}");
    }
}
