//! `GET /metrics`, on a port of its own.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// What the text is (OpenMetrics 1.0).
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long a reader may take to send its request.
const HEAD: Duration = Duration::from_secs(10);
/// How long to wait after accepting failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Makes the text.
pub type Text = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves the text until it is dropped.
pub async fn run(listener: TcpListener, text: Text) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let text = Arc::clone(&text);
        let answer = move |request: Request<Incoming>| {
            let response = answer(&request, &*text);
            async move { Ok::<_, Infallible>(response) }
        };
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEAD);
        let connection = server.serve_connection(TokioIo::new(socket), service_fn(answer));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a reader of metrics broke off: {error}");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, text: &dyn Fn() -> String) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, TEXT, text()),
        _ => (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "the metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
