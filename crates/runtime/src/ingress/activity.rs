//! The activity of a connection, and the limits on how long each part may take.

use crate::descriptors;
use http::{HeaderName, HeaderValue, Request};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// The first bytes of an HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a connection without requests stays open while others are refused.
const CROWDED_IDLE: Duration = Duration::from_secs(5);

/// Limits on unfinished heads of HTTP/1 requests, in bytes: of all on a port together, and the size that each
/// may reach in any case.
const MAX_HEADS: usize = 16 << 20;
const GUARANTEED_HEAD: usize = 8 << 10;

/// Limits on the headers of requests whose answer is not sent yet, in bytes: of all on a port together, and the
/// size that each may have in any case.
const MAX_HEADERS: usize = 16 << 20;
const GUARANTEED_HEADERS: usize = 1 << 10;
/// Memory of a header beside its name and value, in bytes.
const HEADER_OVERHEAD: usize = 100;

/// A connection with this many requests leaves the last quarter of a port's requests and headers to others, so
/// that a few connections do not take it all.
const BUSY_REQUESTS: usize = 16;

/// Limits on the connections of a port.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections open at a time.
    pub connections: usize,
    /// Requests at a time, including those not yet admitted, and refused ones not yet answered.
    pub requests: usize,
    /// Time for a client to complete the TLS handshake, and to send the head of an HTTP/1 request.
    pub header: Duration,
    /// Time a client may be silent between requests. An HTTP/2 client may be silent longer while it answers
    /// pings.
    pub idle: Duration,
    /// Time an answer waits for a client that reads nothing of it.
    pub write: Duration,
}

/// The largest default for `connections`.
const MAX_DEFAULT_CONNECTIONS: u64 = 4096;

/// Three quarters of the file descriptors, at most [`MAX_DEFAULT_CONNECTIONS`].
impl Default for Limits {
    fn default() -> Self {
        let connections = (descriptors::limit() / 4).saturating_mul(3).clamp(1, MAX_DEFAULT_CONNECTIONS);
        Self {
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
            requests: 4096,
            header: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            write: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// Returns the limits of a management port, which has fewer clients.
    pub fn for_management(self) -> Self {
        Self { connections: (self.connections / 4).max(1), ..self }
    }

    /// Returns the interval between checks of a connection.
    pub(super) fn check_interval(&self) -> Duration {
        self.header.min(self.idle).min(self.write) / 4
    }
}

/// What to do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// Keep it.
    Active,
    /// Ask it to close: it has no request.
    Idle,
    /// Cut it off, for this reason.
    Expired(&'static str),
}

/// The load of all connections of a port.
#[derive(Debug, Default)]
pub(super) struct Load {
    requests: AtomicUsize,
    /// Bytes of unfinished heads of HTTP/1 requests.
    heads: AtomicUsize,
    /// Bytes of the headers of `requests`.
    headers: AtomicUsize,
}

/// The activity of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    load: Arc<Load>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many bytes have matched the HTTP/2 preface; `None` once the protocol is known.
    preface: Option<usize>,
    http2: bool,
    /// Whether there has been a request.
    served: bool,
    /// Start of the time without requests.
    since: Instant,
    /// Arrival of the first byte of an unfinished HTTP/1 head.
    head: Option<Instant>,
    /// Bytes of that head so far.
    head_bytes: usize,
    exchanges: HashMap<u64, Arc<Progress>>,
    next: u64,
}

/// A request whose answer is not sent yet.
#[derive(Debug)]
pub(super) struct Exchange {
    activity: Arc<Activity>,
    id: u64,
    /// Bytes of the request's headers.
    headers: usize,
    progress: Arc<Progress>,
}

/// The progress of sending an answer.
#[derive(Debug)]
struct Progress {
    /// Pieces of the answer that wait to be sent.
    waiting: AtomicUsize,
    /// When the first of them was queued, or the last one was sent.
    moved: Mutex<Instant>,
}

impl Load {
    /// Returns whether there is no room for another request with so many bytes of headers, from a connection
    /// with `open` requests.
    fn is_full(&self, limits: &Limits, open: usize, headers: usize) -> bool {
        let share = |limit: usize| if open < BUSY_REQUESTS { limit } else { limit - limit / 4 };
        self.requests.load(Ordering::Acquire) >= share(limits.requests)
            || (headers > GUARANTEED_HEADERS
                && self.headers.load(Ordering::Acquire) + headers > share(MAX_HEADERS))
    }
}

/// Returns the memory of a request's headers and target, in bytes.
pub(super) fn headers_size<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let size =
        |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + HEADER_OVERHEAD;
    target + request.headers().iter().map(size).sum::<usize>()
}

impl Activity {
    /// Starts the activity of a new connection.
    pub(super) fn new(load: &Arc<Load>) -> Arc<Self> {
        let state = State {
            preface: Some(0),
            http2: false,
            served: false,
            since: Instant::now(),
            head: None,
            head_bytes: 0,
            exchanges: HashMap::new(),
            next: 0,
        };
        Arc::new(Self { load: Arc::clone(load), state: Mutex::new(state) })
    }

    /// Notes bytes from the client. Returns whether there is room for them.
    pub(super) fn read(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        if let Some(matched) = state.preface {
            state.note_preface(matched, bytes);
        }
        if state.http2 || !state.exchanges.is_empty() {
            self.head_is_over(&mut state);
            return true;
        }
        state.head.get_or_insert_with(Instant::now);
        state.head_bytes += bytes.len();
        let heads = self.load.heads.fetch_add(bytes.len(), Ordering::AcqRel) + bytes.len();
        heads <= MAX_HEADS || state.head_bytes <= GUARANTEED_HEAD
    }

    fn head_is_over(&self, state: &mut State) {
        state.head = None;
        self.load.heads.fetch_sub(std::mem::take(&mut state.head_bytes), Ordering::AcqRel);
    }

    /// Notes the start of a request with so many bytes of headers; `None` if there is no room for it.
    pub(super) fn start_exchange(self: &Arc<Self>, limits: &Limits, headers: usize) -> Option<Arc<Exchange>> {
        let mut state = self.lock();
        self.head_is_over(&mut state);
        state.served = true;
        if self.load.is_full(limits, state.exchanges.len(), headers) {
            return None;
        }
        self.load.requests.fetch_add(1, Ordering::AcqRel);
        self.load.headers.fetch_add(headers, Ordering::AcqRel);
        let id = state.next;
        state.next = id + 1;
        let progress = Arc::new(Progress { waiting: AtomicUsize::new(0), moved: Mutex::new(Instant::now()) });
        state.exchanges.insert(id, Arc::clone(&progress));
        Some(Arc::new(Exchange { activity: Arc::clone(self), id, headers, progress }))
    }

    /// Decides whether the connection stays; `crowded`: hardly any connections are left.
    pub(super) fn check_state(&self, limits: &Limits, crowded: bool) -> ConnectionState {
        let (state, now) = (self.lock(), Instant::now());
        let over = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let stuck = |since| over(since, limits.write);
        if state.exchanges.values().filter_map(|progress| progress.stuck_since()).any(stuck) {
            return ConnectionState::Expired("the client does not read its answer");
        }
        if !state.exchanges.is_empty() {
            return ConnectionState::Active;
        }
        let unborn = (!state.http2 && !state.served).then_some(state.since);
        if state.head.or(unborn).is_some_and(|since| over(since, limits.header)) {
            return ConnectionState::Expired("the client did not send its request");
        }
        let answers_pings = state.http2 && state.served;
        let idle = match crowded {
            true if state.served => over(state.since, limits.idle.min(CROWDED_IDLE)),
            true => over(state.since, limits.idle.min(limits.header)),
            false => !answers_pings && over(state.since, limits.idle),
        };
        if idle { ConnectionState::Idle } else { ConnectionState::Active }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note_preface(&mut self, matched: usize, bytes: &[u8]) {
        let (expected, rest) = (&PREFACE[matched..], PREFACE.len() - matched);
        let count = bytes.len().min(rest);
        self.preface = match bytes[..count] == expected[..count] {
            true if count == rest => {
                self.http2 = true;
                None
            }
            true => Some(matched + count),
            false => None,
        };
    }
}

impl Exchange {
    /// Notes that a piece of the answer is queued.
    pub(super) fn piece_queued(&self) {
        if self.progress.waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            self.progress.note();
        }
    }

    /// Notes that a piece of the answer was sent.
    pub(super) fn sent(&self) {
        self.progress.waiting.fetch_sub(1, Ordering::AcqRel);
        self.progress.note();
    }
}

impl Progress {
    fn note(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns the start of the current wait, if pieces wait to be sent.
    fn stuck_since(&self) -> Option<Instant> {
        let waits = self.waiting.load(Ordering::Acquire) > 0;
        waits.then(|| *self.moved.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        let bytes = self.lock().head_bytes;
        self.load.heads.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.activity.load.requests.fetch_sub(1, Ordering::AcqRel);
        self.activity.load.headers.fetch_sub(self.headers, Ordering::AcqRel);
        let mut state = self.activity.lock();
        state.exchanges.remove(&self.id);
        if state.exchanges.is_empty() {
            state.since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const LIMITS: Limits = Limits {
        connections: 8,
        requests: 2,
        header: Duration::from_secs(30),
        idle: Duration::from_secs(120),
        write: Duration::from_secs(60),
    };
    const FIRST: &[u8] = b"GET / HTTP/1.1\r\n";

    /// Returns the decision about a connection so many seconds later.
    async fn later(activity: &Activity, seconds: u64) -> ConnectionState {
        advance(Duration::from_secs(seconds)).await;
        activity.check_state(&LIMITS, false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_must_send_its_first_request() {
        for first in [&b""[..], b"G", b"PRI * HTTP/2.0", FIRST] {
            let activity = Activity::new(&Arc::default());
            activity.read(first);
            assert_eq!(later(&activity, 29).await, ConnectionState::Active, "{first:?}");
            activity.read(b"x");
            assert_eq!(
                later(&activity, 1).await,
                ConnectionState::Expired("the client did not send its request")
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn later_requests_must_arrive_in_time() {
        let activity = Activity::new(&Arc::default());
        drop(activity.start_exchange(&LIMITS, 0));
        assert_eq!(later(&activity, 119).await, ConnectionState::Active);
        activity.read(b"GET");
        assert_eq!(later(&activity, 29).await, ConnectionState::Idle);
        assert_eq!(
            later(&activity, 1).await,
            ConnectionState::Expired("the client did not send its request")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn connections_without_requests_are_idle() {
        let activity = Activity::new(&Arc::default());
        let exchange = activity.start_exchange(&LIMITS, 0).unwrap();
        assert_eq!(later(&activity, 1000).await, ConnectionState::Active);
        drop(exchange);
        assert_eq!(later(&activity, 119).await, ConnectionState::Active);
        assert_eq!(later(&activity, 1).await, ConnectionState::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn pings_keep_http_2_connections_alive_after_a_request() {
        let activity = Activity::new(&Arc::default());
        let (first, second) = PREFACE.split_at(7);
        activity.read(first);
        activity.read(&[second, b"settings"].concat());
        assert_eq!(later(&activity, 119).await, ConnectionState::Active);
        assert_eq!(later(&activity, 1).await, ConnectionState::Idle);
        drop(activity.start_exchange(&LIMITS, 0));
        assert_eq!(later(&activity, 100_000).await, ConnectionState::Active);
        assert_eq!(activity.check_state(&LIMITS, true), ConnectionState::Idle, "while others find no room");
    }

    #[tokio::test(start_paused = true)]
    async fn unread_answers_end_the_connection() {
        let activity = Activity::new(&Arc::default());
        let exchange = activity.start_exchange(&LIMITS, 0).unwrap();
        assert_eq!(later(&activity, 1000).await, ConnectionState::Active);
        exchange.piece_queued();
        exchange.piece_queued();
        assert_eq!(later(&activity, 59).await, ConnectionState::Active);
        exchange.sent();
        assert_eq!(later(&activity, 59).await, ConnectionState::Active, "it is slow, and reads");
        assert_eq!(
            later(&activity, 1).await,
            ConnectionState::Expired("the client does not read its answer")
        );
        exchange.sent();
        assert_eq!(later(&activity, 1000).await, ConnectionState::Active, "nothing waits to be sent");
    }

    #[test]
    fn heads_share_one_limit() {
        let load = Arc::default();
        let piece = [b'x'; GUARANTEED_HEAD];
        let open = || Activity::new(&load);
        let full: Vec<_> = (0..MAX_HEADS / GUARANTEED_HEAD / 4)
            .map(|_| {
                let activity = open();
                assert!((0..4).all(|_| activity.read(&piece)));
                activity
            })
            .collect();
        let other = open();
        assert!(other.read(&piece), "a small one is always taken");
        assert!(!other.read(b"x"));
        drop(other);
        drop(full[0].start_exchange(&LIMITS, 0));
        drop(full);
        assert_eq!(load.heads.load(Ordering::Acquire), 0);
    }

    #[test]
    fn requests_are_counted_until_they_are_answered() {
        let load = Arc::default();
        let (one, other) = (Activity::new(&load), Activity::new(&load));
        let exchanges = (one.start_exchange(&LIMITS, 0), other.start_exchange(&LIMITS, 0));
        assert!(exchanges.1.is_some() && one.start_exchange(&LIMITS, 0).is_none());
        drop(exchanges.1);
        assert!(one.start_exchange(&LIMITS, 0).is_some());
    }

    #[test]
    fn headers_of_requests_share_one_limit() {
        let limits = Limits { requests: usize::MAX, ..LIMITS };
        let load = Arc::default();
        let activity = Activity::new(&load);
        let start_exchange = |headers| activity.start_exchange(&limits, headers);
        let (half, _other) = (start_exchange(MAX_HEADERS / 2), start_exchange(MAX_HEADERS / 2));
        assert!(half.is_some() && start_exchange(GUARANTEED_HEADERS + 1).is_none());
        assert!(start_exchange(GUARANTEED_HEADERS).is_some(), "small ones are always taken");
        drop(half);
        assert!(start_exchange(MAX_HEADERS / 2).is_some());
    }

    #[test]
    fn a_few_connections_cannot_take_all_requests() {
        let limits = Limits { requests: 400, ..LIMITS };
        let load = Arc::default();
        let (greedy, other) = (Activity::new(&load), Activity::new(&load));
        let all = |activity: &Arc<Activity>| -> Vec<_> {
            std::iter::from_fn(|| activity.start_exchange(&limits, 0)).collect()
        };
        let (greedy, other) = (all(&greedy), all(&other));
        assert_eq!((greedy.len(), other.len()), (300, BUSY_REQUESTS));
    }

    #[test]
    fn the_size_of_headers_is_more_than_their_bytes() {
        let request = Request::get("/path?query").header("name", "value").header("name", "other").body(());
        assert_eq!(headers_size(&request.unwrap()), 11 + 2 * (9 + HEADER_OVERHEAD));
    }
}
