//! Accepts a bounded number of connections until shutdown.

use std::{io, net::Ipv4Addr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// The wait after a failed accept.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// Listens on a free port of the loopback.
pub(crate) async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

/// Serves each connection in a task of its own, at most `limit` at a time, until `shutdown` is cancelled,
/// which ends the tasks.
pub(crate) async fn run<F>(
    listener: TcpListener,
    limit: usize,
    shutdown: CancellationToken,
    serve: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection on the loopback ended in a panic");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok(_) if connections.len() >= limit => {
                    tracing::warn!("refusing a connection on the loopback: {limit} are open");
                }
                Ok((stream, _)) => _ = connections.spawn(serve(stream)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection on the loopback");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }
    connections.shutdown().await;
}
