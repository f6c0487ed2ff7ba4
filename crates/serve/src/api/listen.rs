//! The listener of the API.

use super::{
    App,
    refusal::{Code, Refusal},
    session::Connection,
};
use axum::{
    Router,
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, Request, header::STRICT_TRANSPORT_SECURITY};
use hyper::body::Incoming;
use krt_runtime::ingress::listener::{
    self, DescriptorReserve, Excess, ExchangeGuard, Limits, Peer, Port, Tls,
};
use std::time::Duration;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

/// Browsers that reached the dashboard over TLS use only TLS for a year.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// How long requests in flight may take after shutdown begins.
const GRACE: Duration = Duration::from_secs(5);

/// Serves the API until `shutdown`.
pub async fn run(listener: TcpListener, tls: Tls, limits: Limits, app: App, shutdown: impl Future) {
    let secure = tls.is_some();
    let router = super::router(app.clone());
    let answer = move |request: Request<Incoming>, peer: Peer| {
        let router = router.clone();
        let connection = Connection { peer: peer.address, tls: secure };
        let tls_only = app.is_secure(connection);
        async move {
            let mut response = match peer.excess {
                Some(excess) => crowded(excess),
                None => answer(router, request, connection, peer.open).await,
            };
            if tls_only {
                response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, TLS_ONLY);
            }
            response
        }
    };
    let port =
        Port { tls, limits: limits.for_management(), reserved: DescriptorReserve::MANAGEMENT, grace: GRACE };
    listener::serve(listener, port, answer, shutdown).await;
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    connection: Connection,
    open: Option<ExchangeGuard>,
) -> Response {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(connection);
    if let Some(open) = open {
        request.extensions_mut().insert(open);
    }
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The answer to a connection beyond the limit.
fn crowded(excess: Excess) -> Response {
    Refusal::of(Code::Unavailable, &excess).into_response()
}
