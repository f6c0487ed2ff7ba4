//! A trace receiver that discards all traces.

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

/// The receiver. Stops on drop.
pub(super) struct Traces {
    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(super) endpoint: String,
    /// The number of exports received.
    pub(super) received: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Traces {
    pub(super) async fn receive() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(serve(listener, Arc::clone(&received)));
        Self { endpoint, received, task }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, received: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        let answer = service_fn(move |request: http::Request<Incoming>| {
            let received = Arc::clone(&received);
            async move {
                // Fails if the engine is killed meanwhile.
                let _ = request.into_body().collect().await;
                received.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), answer));
    }
}
