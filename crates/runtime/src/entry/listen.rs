//! Connections: accepted, served, and let go.

use super::gate::Gate;
use bytes::Bytes;
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::either::Either;

/// How long a client may take to send the head of an HTTP/1 request, and to agree on TLS.
const HEAD: Duration = Duration::from_secs(30);
/// How often a silent HTTP/2 connection is asked whether it still lives, and how long it may take.
const ALIVE: Duration = Duration::from_secs(60);
const ALIVE_ANSWER: Duration = Duration::from_secs(20);
/// Requests of one connection at a time.
const STREAMS: u32 = 1024;
/// How much of a body a client may send ahead: of a request, of a connection, bytes.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// How long to wait after accepting failed: descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a port speaks TLS, if it does.
pub type Tls = Option<Arc<ServerConfig>>;

/// Serves what stands behind a gate until `shutdown`, then lets connections that are open finish, at
/// most `grace`.
pub async fn run(listener: TcpListener, tls: Tls, gate: Gate, shutdown: impl Future, grace: Duration) {
    let answer = move |request: Request<Incoming>, _| {
        let gate = gate.clone();
        async move { gate.answer(request).await }
    };
    serve(listener, tls, answer, shutdown, grace).await;
}

/// Serves whatever `answer` answers, to whom it is also told, as [`run`] does.
pub async fn serve<A, F, B>(
    listener: TcpListener,
    tls: Tls,
    answer: A,
    shutdown: impl Future,
    grace: Duration,
) where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let builder = builder();
    let tls = tls.map(TlsAcceptor::from);
    let open = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = async { (&mut shutdown).await; } => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        if socket.set_nodelay(true).is_err() {
            continue;
        }
        let (builder, tls, answer, watcher) = (builder.clone(), tls.clone(), answer.clone(), open.watcher());
        tokio::spawn(async move {
            let Some(socket) = secure(socket, tls).await else { return };
            let answer = service_fn(move |request| {
                // It is large, and is moved several times on its way to where it runs.
                let response = Box::pin(answer(request, peer));
                async move { Ok::<_, Infallible>(response.await) }
            });
            let connection = builder.serve_connection(TokioIo::new(socket), answer).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!("a connection broke off: {error}");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, open.shutdown()).await.is_err() {
        tracing::warn!("connections were cut off that were still open after {} s", grace.as_secs());
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE_ANSWER);
    builder
}

type Socket = Either<TcpStream, tokio_rustls::server::TlsStream<TcpStream>>;

/// Agrees on TLS, where it is spoken; `None` when the client does not.
async fn secure(socket: TcpStream, tls: Option<TlsAcceptor>) -> Option<Socket> {
    let Some(tls) = tls else { return Some(Either::Left(socket)) };
    match tokio::time::timeout(HEAD, tls.accept(socket)).await {
        Ok(Ok(socket)) => Some(Either::Right(socket)),
        Ok(Err(error)) => {
            tracing::debug!("a client did not agree on TLS: {error}");
            None
        }
        Err(_) => None,
    }
}

async fn pause_after(error: &io::Error) {
    let passing = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    );
    if !passing {
        tracing::warn!("a connection was not accepted: {error}");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
