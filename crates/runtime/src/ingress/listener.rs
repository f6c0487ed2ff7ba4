//! A port: accepts connections, within limits, until it closes.

use super::{connection::Server, limiter::ConnectionLimiter, router::VersionRouter};
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// The TLS configuration of a port, if it uses TLS.
pub type Tls = Option<Arc<ServerConfig>>;

pub use super::{
    activity::Limits,
    limiter::DescriptorReserve,
    peer::{Excess, Peer},
    sent_body::{ExchangeGuard, ResponseGuard},
};

/// The settings of a port.
#[derive(Debug, Clone)]
pub struct Port {
    /// Its TLS configuration, if it uses TLS.
    pub tls: Tls,
    /// Limits on its connections.
    pub limits: Limits,
    /// The last file descriptors, which it leaves to others.
    pub reserved: DescriptorReserve,
    /// How long open connections may take to finish when it closes.
    pub grace: Duration,
}

/// Serves a router until `shutdown`, then lets open connections finish.
pub async fn run(listener: TcpListener, port: Port, router: VersionRouter, shutdown: impl Future) {
    let answer = move |request: Request<Incoming>, peer: Peer| {
        let router = router.clone();
        async move {
            match peer.excess {
                Some(excess) => router.reject(request, excess).await,
                None => router.answer(request).await,
            }
        }
    };
    serve(listener, port, answer, shutdown).await;
}

/// Like [`run`], for any `answer`, which also gets the peer.
pub async fn serve<A, F, B>(listener: TcpListener, port: Port, answer: A, shutdown: impl Future)
where
    A: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static,
{
    let Port { tls, limits, reserved, grace } = port;
    let server = Server::new(tls.map(TlsAcceptor::from), limits);
    let mut limiter = ConnectionLimiter::new(reserved, limits.connections);
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = async { (&mut shutdown).await; } => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                limiter.not_accepted(&listener, &error).await;
                continue;
            }
        };
        if socket.set_nodelay(true).is_err() {
            continue;
        }
        let excess = limiter.excess(&socket, server.open());
        let (peer, answer) = (Peer { address, excess, open: None }, answer.clone());
        let Some(excess) = excess else {
            server.serve(socket, peer, answer);
            continue;
        };
        if let Some(permit) = limiter.acquire(excess).await {
            let server = server.clone();
            let once = async move |socket| server.answer_once(socket, peer, answer).await;
            tokio::spawn(ConnectionLimiter::answer(permit, socket, once));
        }
    }
    drop(listener);
    if tokio::time::timeout(grace, server.close()).await.is_err() {
        tracing::warn!("connections were cut off that were still open after {} s", grace.as_secs());
    }
}
