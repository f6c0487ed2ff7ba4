//! One connection, from the TLS handshake to its end.

use super::{
    activity::{Activity, ConnectionState, Limits, Load, headers_size},
    peer::Peer,
    sent_body::{ExchangeGuard, ResponseGuard, SentBody},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Either as OneOf, Empty};
use hyper::{
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{
    convert::Infallible,
    error::Error,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

/// Concurrent requests of one connection.
const MAX_STREAMS: u32 = 1024;
/// Flow-control windows for the bodies of a request and of a connection, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Read buffer of an HTTP/1 connection, including request heads, in bytes.
const READ_BUFFER: usize = 128 << 10;
/// How long an HTTP/2 client may take to answer a ping, or to end its connection when asked to.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves the connections of a port.
#[derive(Clone)]
pub(super) struct Server {
    builder: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    load: Arc<Load>,
    /// Cancelled when the port closes, to ask connections to end.
    closing: CancellationToken,
    open: TaskTracker,
}

impl Server {
    pub(super) fn new(tls: Option<TlsAcceptor>, limits: Limits) -> Self {
        let (closing, open) = (CancellationToken::new(), TaskTracker::new());
        Self { builder: builder(&limits), tls, limits, load: Arc::default(), closing, open }
    }

    /// Returns the number of open connections.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Asks all connections to end, and waits for them.
    pub(super) async fn close(self) {
        self.closing.cancel();
        self.open.close();
        self.open.wait().await;
    }

    /// Serves a connection in its own task.
    pub(super) fn serve<A, F, B>(&self, socket: TcpStream, peer: Peer, answer: A)
    where
        A: Fn(Request<Incoming>, Peer) -> F + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
    {
        let server = self.clone();
        self.open.spawn(async move {
            let Some(socket) = server.secure(socket).await else { return };
            let activity = Activity::new(&server.load);
            let socket = ObservedSocket { socket, activity: Arc::clone(&activity) };
            let (answered, limits) = (Arc::clone(&activity), server.limits);
            let answer = service_fn(move |request: Request<Incoming>| {
                let exchange = answered.start_exchange(&limits, headers_size(&request));
                // Boxed, because the future is large and moves several times.
                let response = exchange.map(|exchange| {
                    let peer = Peer { open: Some(ExchangeGuard::new(&exchange)), ..peer.clone() };
                    (Box::pin(answer(request, peer)), exchange)
                });
                async move {
                    let Some((response, exchange)) = response else { return Ok(overloaded()) };
                    let mut response = response.await;
                    let held = response.extensions_mut().remove::<ResponseGuard>();
                    Ok::<_, Infallible>(response.map(|body| OneOf::Left(SentBody::new(body, exchange, held))))
                }
            });
            let connection = server.builder.serve_connection(TokioIo::new(socket), answer);
            server.watch(connection, &activity).await;
        });
    }

    /// Drives a connection to its end.
    async fn watch<I, S, B>(
        &self,
        connection: hyper_util::server::conn::auto::Connection<'_, I, S, TokioExecutor>,
        activity: &Activity,
    ) where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
        S: hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S::Future: Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        tokio::pin!(connection);
        let mut looks = tokio::time::interval(self.limits.check_interval());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ending: Option<Instant> = None;
        loop {
            let state = tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!("a connection was lost: {error}");
                    }
                    return;
                }
                () = self.closing.cancelled(), if ending.is_none() => ConnectionState::Idle,
                _ = looks.tick() => activity.check_state(&self.limits, self.is_crowded()),
            };
            match state {
                ConnectionState::Active => {}
                ConnectionState::Idle if ending.is_none() => {
                    ending = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                ConnectionState::Idle if ending.is_some_and(|begun| begun.elapsed() < PING_TIMEOUT) => {}
                ConnectionState::Idle => return,
                ConnectionState::Expired(why) => {
                    tracing::debug!("a connection was cut off: {why}");
                    return;
                }
            }
        }
    }

    /// Returns whether there is hardly room for more connections.
    fn is_crowded(&self) -> bool {
        self.open.len() >= self.limits.connections - self.limits.connections / 8
    }

    /// Completes the TLS handshake, if the port uses TLS; `None` if the client fails it.
    async fn secure(&self, socket: TcpStream) -> Option<Socket> {
        let Some(tls) = &self.tls else { return Some(Either::Left(socket)) };
        match tokio::time::timeout(self.limits.header, tls.accept(socket)).await {
            Ok(Ok(socket)) => Some(Either::Right(socket)),
            Ok(Err(error)) => {
                tracing::debug!("a client did not agree on TLS: {error}");
                None
            }
            Err(_) => None,
        }
    }

    /// Answers one request of a client and closes the connection.
    pub(super) async fn answer_once<A, F, B>(self, socket: TcpStream, peer: Peer, answer: A)
    where
        A: Fn(Request<Incoming>, Peer) -> F + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let Some(socket) = self.secure(socket).await else { return };
        let answered = Arc::new(Notify::new());
        let notify = Arc::clone(&answered);
        let answer = service_fn(move |request| {
            let (response, notify) = (answer(request, peer.clone()), Arc::clone(&notify));
            async move {
                let response = response.await;
                notify.notify_one();
                Ok::<_, Infallible>(response)
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(socket), answer);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = answered.notified() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!("a connection was lost: {error}");
        }
    }
}

/// Returns the answer to a request without room. Nothing is held until it is sent.
fn overloaded<B>() -> Response<OneOf<B, Empty<Bytes>>> {
    let mut response = Response::new(OneOf::Right(Empty::new()));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // `Activity` limits the time for heads.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(READ_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(limits.idle / 2)
        .keep_alive_timeout(PING_TIMEOUT.min(limits.idle));
    builder
}

type Socket = Either<TcpStream, tokio_rustls::server::TlsStream<TcpStream>>;

/// A socket that reports the client's bytes.
struct ObservedSocket {
    socket: Socket,
    activity: Arc<Activity>,
}

impl AsyncRead for ObservedSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.socket).poll_read(context, buffer));
        match &buffer.filled()[before..] {
            [] => Poll::Ready(read),
            bytes if self.activity.read(bytes) => Poll::Ready(read),
            _ => Poll::Ready(Err(io::Error::other("too many unfinished request headers"))),
        }
    }
}

impl AsyncWrite for ObservedSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
