//! What is too large is refused so that whoever sends it sees why.

use super::refusal::{Code, Refusal};
use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, header::EXPECT};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

/// The largest head of a request, without its first line, bytes.
const MAX_HEAD: usize = 32 << 10;

/// How much of a body that is refused is still read, and for how long.
const DRAINED: usize = 64 << 20;
const DRAINING: Duration = Duration::from_secs(5);

/// Refuses a head that is too large, and reads what is left of a body that is refused: a client that is
/// cut off while it sends may not see why.
pub(super) async fn keep(request: Request, next: Next) -> Response {
    if size(request.headers()) > MAX_HEAD {
        let message = format!("the headers have more than {MAX_HEAD} bytes");
        return Refusal::new(Code::HeadTooLarge, message).into_response();
    }
    // Such a client asks first, and sends nothing where it is refused.
    if request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let lent = Lent(Arc::new(Mutex::new(body)));
    let response = next.run(Request::from_parts(head, Body::new(lent.clone()))).await;
    if response.status().is_client_error() {
        drain(lent).await;
    }
    response
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

async fn drain(body: Lent) {
    let mut rest = Limited::new(body, DRAINED);
    let read = async { while let Some(Ok(_)) = rest.frame().await {} };
    // What still comes afterwards is cut off.
    let _ = tokio::time::timeout(DRAINING, read).await;
}

/// A body that is read by a handler, and afterwards by who lent it.
#[derive(Debug, Clone)]
struct Lent(Arc<Mutex<Body>>);

impl Lent {
    fn lock(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, middleware::from_fn, routing::post};
    use futures::stream;
    use http::StatusCode;
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };
    use tower::ServiceExt as _;

    /// Sends ten chunks to a handler that reads nothing; how many were read after all, and the answer.
    async fn unread(status: StatusCode, headers: &[(&str, String)]) -> (usize, StatusCode) {
        let router: Router = Router::new().route("/", post(move || async move { status }));
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let chunks = stream::iter((0..10).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from_static(b"chunk"))
        }));
        let request =
            headers.iter().fold(Request::post("/"), |request, (name, value)| request.header(*name, value));
        let request = request.body(Body::from_stream(chunks)).unwrap();
        let response = router.layer(from_fn(keep)).oneshot(request).await.unwrap();
        (read.load(Ordering::Relaxed), response.status())
    }

    #[tokio::test]
    async fn what_is_refused_is_read_to_its_end() {
        assert_eq!(unread(StatusCode::FORBIDDEN, &[]).await, (10, StatusCode::FORBIDDEN));
        assert_eq!(unread(StatusCode::OK, &[]).await, (0, StatusCode::OK));
        // Nothing comes from who waits to be asked for it.
        let asks = [("expect", "100-continue".to_owned())];
        assert_eq!(unread(StatusCode::FORBIDDEN, &asks).await, (0, StatusCode::FORBIDDEN));
    }

    #[tokio::test]
    async fn large_heads_are_refused() {
        let header = |size: usize| [("x-large", "x".repeat(size))];
        assert_eq!(unread(StatusCode::OK, &header(MAX_HEAD - 64)).await.1, StatusCode::OK);
        let refused = unread(StatusCode::OK, &header(MAX_HEAD)).await;
        assert_eq!(refused, (0, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
}
