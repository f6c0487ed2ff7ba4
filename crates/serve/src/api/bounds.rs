//! What is too large, or too slow, is refused so that whoever sends it sees why.

use super::refusal::{Code, Refusal};
use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, header::EXPECT};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// The largest head of a request, without its first line, bytes.
const MAX_HEAD: usize = 32 << 10;

/// How much of a body that is refused is still read, and for how long.
const DRAINED: usize = 64 << 20;
const DRAINING: Duration = Duration::from_secs(5);

/// How long a body may be silent.
const SILENT: Duration = Duration::from_secs(60);

/// Refuses a head that is too large, and reads what is left of a body that is refused: a client that is
/// cut off while it sends may not see why.
pub(super) async fn keep(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    // Who asks first is answered when the body is looked at, and else sends nothing.
    let asks = head.headers.contains_key(EXPECT);
    let body = Arc::new(Mutex::new(Source { body, begun: !asks }));
    let response = if size(&head.headers) > MAX_HEAD {
        let message = format!("the headers have more than {MAX_HEAD} bytes");
        Refusal::new(Code::HeadTooLarge, message).into_response()
    } else {
        next.run(Request::from_parts(head, Body::new(Lent::new(&body)))).await
    };
    let lent = Lent::new(&body);
    let begun = lent.lock().begun;
    if response.status().is_client_error() && begun {
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

/// A body, and whether its client sends it.
#[derive(Debug)]
struct Source {
    body: Body,
    begun: bool,
}

/// A body that is read by a handler, and afterwards by who lent it.
#[derive(Debug)]
struct Lent {
    source: Arc<Mutex<Source>>,
    /// While nothing comes: until when it is waited for.
    patience: Option<Pin<Box<Sleep>>>,
}

/// Why a body ends that does not come.
#[derive(Debug, thiserror::Error)]
#[error("nothing came for {} s", SILENT.as_secs())]
struct Silent;

impl Source {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.begun = true;
        Pin::new(&mut self.body).poll_frame(context)
    }
}

impl Lent {
    fn new(source: &Arc<Mutex<Source>>) -> Self {
        Self { source: Arc::clone(source), patience: None }
    }

    fn lock(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let came = self.lock().poll(context);
        if came.is_ready() {
            self.patience = None;
            return came;
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(SILENT)));
        patience.as_mut().poll(context).map(|()| Some(Err(axum::Error::new(Silent))))
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        Router,
        middleware::from_fn,
        routing::{MethodRouter, post},
    };
    use futures::{StreamExt as _, stream};
    use http::StatusCode;
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };
    use tower::ServiceExt as _;

    /// Sends ten chunks to a handler that reads nothing; how many were read after all, and the answer.
    async fn unread(status: StatusCode, headers: &[(&str, String)]) -> (usize, StatusCode) {
        sent(post(move || async move { status }), headers).await
    }

    async fn sent(handler: MethodRouter, headers: &[(&str, String)]) -> (usize, StatusCode) {
        let router: Router = Router::new().route("/", handler);
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
        // Nothing comes from who waits to be asked for it, unless it was.
        let asks = [("expect", "100-continue".to_owned())];
        assert_eq!(unread(StatusCode::FORBIDDEN, &asks).await, (0, StatusCode::FORBIDDEN));
        let first = post(async |mut body: Body| {
            body.frame().await.unwrap().unwrap();
            StatusCode::FORBIDDEN
        });
        assert_eq!(sent(first, &asks).await, (10, StatusCode::FORBIDDEN));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_is_not_waited_for_without_end() {
        let read = post(async |body: Body| match body.collect().await {
            Ok(_) => StatusCode::OK,
            Err(error) => {
                assert_eq!(error.to_string(), "nothing came for 60 s");
                StatusCode::BAD_REQUEST
            }
        });
        let router: Router = Router::new().route("/", read).layer(from_fn(keep));
        let chunk = || Ok::<_, Infallible>(Bytes::from_static(b"chunk"));
        let slow = stream::iter(0..4).then(move |_| async move {
            sleep(SILENT - Duration::from_secs(1)).await;
            chunk()
        });
        let send = async |body: Body| {
            let request = Request::post("/").body(body).unwrap();
            router.clone().oneshot(request).await.unwrap().status()
        };
        assert_eq!(send(Body::from_stream(slow.boxed())).await, StatusCode::OK);
        let silent = stream::once(async move { chunk() }).chain(stream::pending());
        assert_eq!(send(Body::from_stream(silent.boxed())).await, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn large_heads_are_refused() {
        let header = |size: usize| [("x-large", "x".repeat(size))];
        assert_eq!(unread(StatusCode::OK, &header(MAX_HEAD - 64)).await.1, StatusCode::OK);
        let refused = unread(StatusCode::OK, &header(MAX_HEAD)).await;
        assert_eq!(refused, (10, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
}
