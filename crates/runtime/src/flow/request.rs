//! A request: one client that waits for one answer.

use super::{
    Handled,
    admission::Permit,
    trail::{Hop, HopEnding, Trail},
};
use krt_model::{
    message::{Payload, Timestamp, Tracking},
    name::Name,
    outcome::{Failure, HandlerResult, Step},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Where an RPC leads: its workflow, and what its answer must be.
#[derive(Debug)]
pub struct Route {
    /// The workflow's name.
    pub workflow: Name,
    /// Its index in the version.
    pub index: usize,
    /// The nodes, by their index in the version; at least one.
    pub sequence: Vec<usize>,
    /// The full name of the message that the RPC returns.
    pub answer_type: String,
    /// The largest answer, bytes.
    pub answer_limit: usize,
}

/// When a request must have its answer.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// How long that was from when the request came.
    pub within: Duration,
}

impl Deadline {
    /// A time from now.
    pub fn after(within: Duration) -> Self {
        Self { at: Instant::now() + within, within }
    }
}

/// One request. Exactly one answer leaves through it, the first that is given.
#[derive(Debug)]
pub struct Request {
    /// Names the request in logs and measurements (KRT v1's tracking id): a UUID, version 7.
    pub id: Arc<str>,
    /// Where it goes.
    pub route: Arc<Route>,
    /// When it came in.
    pub start: Timestamp,
    /// Its course, for who looks at it.
    pub(super) trail: Arc<Trail>,
    client: Mutex<Option<oneshot::Sender<Answer>>>,
    replied: AtomicBool,
    left: AtomicBool,
    _permit: Permit,
}

type Answer = Result<Payload, Failure>;

impl Request {
    pub(super) fn open(
        route: Arc<Route>,
        start: Timestamp,
        permit: Permit,
    ) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (client, answer) = oneshot::channel();
        let mut text = Uuid::encode_buffer();
        let id: Arc<str> = Arc::from(&*Uuid::now_v7().hyphenated().encode_lower(&mut text));
        let trail = Arc::new(Trail::new(Arc::clone(&id), Arc::clone(&route), start, permit.bytes()));
        let request = Self {
            id,
            route,
            start,
            trail,
            client: Mutex::new(Some(client)),
            replied: AtomicBool::new(false),
            left: AtomicBool::new(false),
            _permit: permit,
        };
        (Arc::new(request), answer)
    }

    /// Gives the answer. Returns false when there was one before, or the client has left.
    pub(super) fn answer(&self, answer: Answer) -> bool {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(client) = client else { return false };
        self.replied.store(true, Ordering::Release);
        client.send(answer).is_ok()
    }

    /// Whether the answer was given.
    pub fn replied(&self) -> bool {
        self.replied.load(Ordering::Acquire)
    }

    /// Whether the client left before its answer, so that the work is for nobody.
    pub fn left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }
}

/// A request's message at one node of its workflow.
///
/// Dropped while its client waits, it answers that the request was lost: nobody waits in vain.
#[derive(Debug)]
pub struct Delivery {
    /// The request that it belongs to.
    pub request: Arc<Request>,
    /// Which station of the workflow it is at, from 0.
    pub position: usize,
    /// The message.
    pub payload: Payload,
    /// The stations before.
    pub tracking: Vec<Tracking>,
    /// How many more times it may be given to another process.
    pub retries_left: u16,
}

impl Delivery {
    /// The node it is at, by its index in the version.
    pub fn node(&self) -> usize {
        self.request.route.sequence[self.position]
    }

    /// Whether its workflow ends at this node.
    pub fn is_last(&self) -> bool {
        self.position + 1 == self.request.route.sequence.len()
    }

    /// Notes in the request's course that its handler was called.
    pub(super) fn note_hop(&self, handled: Handled, result: &HandlerResult) {
        let posted = self.tracking.last().map_or(self.request.start, |previous| previous.end);
        let ending = HopEnding::from(result);
        self.request.trail.hop(Hop { node: self.node(), position: self.position, posted, handled, ending });
    }

    pub(super) fn step<'a>(&'a self, node: &'a Name) -> Step<'a> {
        Step {
            node,
            last: self.is_last(),
            replied: self.request.replied(),
            retries_left: self.retries_left,
            answer_type: &self.request.route.answer_type,
            answer_limit: self.request.route.answer_limit,
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.request.replied() && !self.request.left() {
            self.request.answer(Err(Failure::Lost));
        }
    }
}
