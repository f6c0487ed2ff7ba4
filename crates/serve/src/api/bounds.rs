//! Refuses requests that are too large or too slow, in a way that lets their clients read why.

use super::{
    guard::Authorized,
    refusal::{Code, Refusal},
};
use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap, Version,
    header::{CONNECTION, EXPECT},
};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use krt_runtime::ingress::listener::ExchangeGuard;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};

/// The largest head of a request, without the request line, in bytes.
const MAX_HEAD: usize = 32 << 10;

/// The longest silence of a body, and the bytes that earn a body one more second of waiting.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MIN_BYTES_PER_SECOND: u64 = 1 << 10;

/// How many bytes of a refused body are still read, and for how long, while its client reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Drain {
    bytes: u64,
    time: Duration,
}

impl Drain {
    /// For an authorized client.
    const AUTHORIZED: Self = Self { bytes: 4 << 30, time: Duration::from_secs(30) };
    /// For any other client.
    const UNAUTHORIZED: Self = Self { bytes: 4 << 10, time: Duration::from_secs(5) };

    /// Reads the body until it ends, or its bytes or time are used up. The body stays open until then: a
    /// client may not see its answer when its connection closes while it still sends.
    async fn run(self, mut body: LentBody, _open: Option<ExchangeGuard>) {
        let end = Instant::now() + self.time;
        let mut read = 0;
        while read < self.bytes {
            match timeout_at(end, body.frame()).await {
                Ok(Some(Ok(frame))) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
                Ok(Some(Err(_)) | None) | Err(_) => return,
            }
        }
        sleep_until(end).await;
    }
}

/// Refuses a head that is too large, and drains the rest of a refused body: a client that is cut off while it
/// sends may not see why.
pub(super) async fn enforce(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let ends = head.version <= Version::HTTP_10
        || head.headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    // A client that sends `Expect` waits for the first read of its body, and sends nothing without it.
    let asks = head.headers.contains_key(EXPECT);
    let body = Arc::new(Mutex::new(Source { body, begun: !asks }));
    let open = head.extensions.get::<ExchangeGuard>().cloned();
    let response = if size(&head.headers) > MAX_HEAD {
        let message = format!("the headers have more than {MAX_HEAD} bytes");
        Refusal::new(Code::HeadTooLarge, message).into_response()
    } else {
        next.run(Request::from_parts(head, Body::new(LentBody::new(&body)))).await
    };
    let lent = LentBody::new(&body);
    let begun = lent.lock().begun;
    let refused = response.status().is_client_error() || response.status().is_server_error();
    if refused && begun && !lent.is_end_stream() {
        match response.extensions().get::<Authorized>() {
            // The connection closes after this answer, so the drain runs first.
            Some(Authorized) if ends => Drain::AUTHORIZED.run(lent, open).await,
            // The connection stays open: the drain is short and runs beside the answer.
            Some(Authorized) => drop(tokio::spawn(Drain::AUTHORIZED.run(lent, open))),
            None => drop(tokio::spawn(Drain::UNAUTHORIZED.run(lent, open))),
        }
    }
    response
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// A body, and whether its client has begun to send it.
#[derive(Debug)]
struct Source {
    body: Body,
    begun: bool,
}

/// A body lent to a handler, and drained afterwards by its owner.
#[derive(Debug)]
struct LentBody {
    source: Arc<Mutex<Source>>,
    /// While the body is silent: since when, and the timer of the wait.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    /// The total time spent waiting, and the bytes received.
    waited: Duration,
    bytes: u64,
}

/// The body was too slow.
#[derive(Debug, thiserror::Error)]
#[error("the body arrives too slowly")]
struct TooSlow;

impl Source {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.begun = true;
        Pin::new(&mut self.body).poll_frame(context)
    }
}

impl LentBody {
    fn new(source: &Arc<Mutex<Source>>) -> Self {
        Self { source: Arc::clone(source), waiting: None, waited: Duration::ZERO, bytes: 0 }
    }

    /// How long the next wait may take.
    fn timeout(&self) -> Duration {
        let earned = IDLE_TIMEOUT + Duration::from_secs(self.bytes / MIN_BYTES_PER_SECOND);
        earned.saturating_sub(self.waited).min(IDLE_TIMEOUT)
    }

    fn lock(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for LentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let came = self.lock().poll(context);
        if let Poll::Ready(came) = came {
            let waited = self.waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
            self.waited += waited;
            let data = came.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            self.bytes += data.map_or(0, |data| data.len() as u64);
            return Poll::Ready(came);
        }
        let timeout = self.timeout();
        let (_, end) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(timeout))));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Some(Err(axum::Error::new(TooSlow))))
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

    /// Sends ten chunks to a handler that reads nothing. Returns how many were drained, and the status.
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
        let response = router.layer(from_fn(enforce)).oneshot(request).await.unwrap();
        // The drain runs in a task of its own.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        (read.load(Ordering::Relaxed), response.status())
    }

    #[tokio::test]
    async fn refused_bodies_are_read_to_their_end() {
        assert_eq!(unread(StatusCode::FORBIDDEN, &[]).await, (10, StatusCode::FORBIDDEN));
        assert_eq!(unread(StatusCode::OK, &[]).await, (0, StatusCode::OK));
        let full = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(unread(full, &[]).await, (10, full));
        // A client that expects `100 Continue` sends nothing unless its body is read.
        let asks = [("expect", "100-continue".to_owned())];
        assert_eq!(unread(StatusCode::FORBIDDEN, &asks).await, (0, StatusCode::FORBIDDEN));
        let first = post(async |mut body: Body| {
            body.frame().await.unwrap().unwrap();
            StatusCode::FORBIDDEN
        });
        assert_eq!(sent(first, &asks).await, (10, StatusCode::FORBIDDEN));
    }

    #[tokio::test(start_paused = true)]
    async fn little_is_read_from_unknown_clients() {
        let read = Arc::new(AtomicUsize::new(0));
        let drained = async |drain: Drain| {
            read.store(0, Ordering::Relaxed);
            let counted = Arc::clone(&read);
            let chunks = stream::repeat_with(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Bytes::from_static(&[0; 1024]))
            });
            let body = Body::from_stream(chunks.take(1000));
            drain.run(LentBody::new(&Arc::new(Mutex::new(Source { body, begun: true }))), None).await;
            read.load(Ordering::Relaxed)
        };
        assert_eq!((drained(Drain::UNAUTHORIZED).await, drained(Drain::AUTHORIZED).await), (4, 1000));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_time_out() {
        let read = post(async |body: Body| match body.collect().await {
            Ok(_) => StatusCode::OK,
            Err(error) => {
                assert_eq!(error.to_string(), "the body arrives too slowly");
                StatusCode::BAD_REQUEST
            }
        });
        let router: Router = Router::new().route("/", read).layer(from_fn(enforce));
        let chunk = || Ok::<_, Infallible>(Bytes::from_static(b"chunk"));
        let slow = stream::iter(0..20).then(move |_| async move {
            sleep(IDLE_TIMEOUT - Duration::from_secs(1)).await;
            Ok::<_, Infallible>(Bytes::from(vec![0; 60 << 10]))
        });
        let send = async |body: Body| {
            let request = Request::post("/").body(body).unwrap();
            router.clone().oneshot(request).await.unwrap().status()
        };
        assert_eq!(send(Body::from_stream(slow.boxed())).await, StatusCode::OK);
        let trickle = stream::iter(0..10_000).then(move |_| async move {
            sleep(Duration::from_secs(1)).await;
            chunk()
        });
        assert_eq!(send(Body::from_stream(trickle.boxed())).await, StatusCode::BAD_REQUEST);
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
