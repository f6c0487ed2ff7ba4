//! The port of the API.

use super::{App, session::Connection};
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use krt_runtime::entry::listen::{self, Tls};
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

/// How long requests in work may take when the server ends.
const GRACE: Duration = Duration::from_secs(5);

/// Serves the API until `shutdown`.
pub async fn run(listener: TcpListener, tls: Tls, app: App, shutdown: impl Future) {
    let secure = tls.is_some();
    let router = super::router(app);
    let answer = move |request: Request<Incoming>, peer: SocketAddr| {
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Connection { peer, tls: secure });
            match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    };
    listen::serve(listener, tls, answer, shutdown, GRACE).await;
}
