//! A request: one client that waits for one answer.

use super::{
    Handled,
    admission::Permit,
    journey::{self, End, Hop, Journey, Journeys, Serialised},
};
use crate::traces::Trace;
use krt_broker::Receipt;
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

/// What is known of a request that came in elsewhere.
pub struct Elsewhere {
    /// Its id; without one it gets its own here.
    pub id: Option<String>,
    /// Where its answer is waited for.
    pub to: ReplyTo,
    /// When it came in.
    pub start: Timestamp,
    /// When its client no longer waits, if that is known.
    pub deadline: Option<Deadline>,
    /// The trace that it belongs to.
    pub trace: Trace,
    /// Sends its answer; none where it has one.
    pub respond: Option<Respond>,
}

/// Who waits for a request's answer.
enum Client {
    /// The door of this engine.
    Here(oneshot::Sender<Answer>),
    /// An entrypoint elsewhere.
    Elsewhere(Respond),
}

/// Sends an answer to where it is waited for, and marks the receipt behind it.
pub type Respond = Box<dyn FnOnce(Answer, Trail) + Send>;

/// What goes with an answer.
#[derive(Debug, Default)]
pub struct Trail {
    /// The stations that the request has passed.
    pub tracking: Vec<Tracking>,
    /// What the broker is told of the message that led to the answer.
    pub receipt: Option<Receipt>,
}

/// Where a request came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// At the door of this engine.
    Here,
    /// At an entrypoint elsewhere.
    Elsewhere(ReplyTo),
}

/// Where an entrypoint elsewhere waits for the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplyTo {
    /// What stands in the envelope: an inbox, or in the second era the request's id.
    pub reply: String,
    /// The inbox of an entrypoint of ours. Second era only.
    pub inbox: Option<String>,
    /// Whether nobody waits there: the message was given up, and is tried again.
    pub nobody: bool,
}

impl Trail {
    fn done(self) {
        if let Some(receipt) = self.receipt {
            receipt.done();
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Here(_) => "here",
            Self::Elsewhere(_) => "elsewhere",
        })
    }
}

/// One request. Exactly one answer leaves through it, the first that is given.
#[derive(Debug)]
pub struct Request {
    /// Names the request in logs and measurements (KRT v1's tracking id): a UUID, version 7.
    pub id: Arc<str>,
    /// Where it came in.
    pub origin: Origin,
    /// Where it goes.
    pub route: Arc<Route>,
    /// When it came in.
    pub start: Timestamp,
    /// When its client no longer waits; none where the work goes on without one.
    pub deadline: Option<Deadline>,
    /// The trace that it belongs to, for whoever takes its messages further.
    pub trace: Trace,
    /// Its course, for who looks at it where it came in.
    pub(crate) journey: Option<Arc<Journey>>,
    client: Mutex<Option<Client>>,
    replied: AtomicBool,
    left: AtomicBool,
    _permit: Permit,
}

/// What a client gets.
pub type Answer = Result<Payload, Failure>;

impl Request {
    /// A request that came in at this door.
    pub(super) fn open(
        route: Arc<Route>,
        start: Timestamp,
        deadline: Deadline,
        permit: Permit,
        trace: Trace,
        journeys: &Arc<Journeys>,
    ) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (client, answer) = oneshot::channel();
        let id = new_id();
        trace.name(&id);
        let journey = Some(journeys.begin(&id, &route, start, permit.bytes()));
        let request = Self {
            id,
            origin: Origin::Here,
            route,
            start,
            deadline: Some(deadline),
            trace,
            journey,
            client: Mutex::new(Some(Client::Here(client))),
            replied: AtomicBool::new(false),
            left: AtomicBool::new(false),
            _permit: permit,
        };
        (Arc::new(request), answer)
    }

    /// A request that came in elsewhere.
    pub fn elsewhere(from: Elsewhere, route: Arc<Route>, permit: Permit) -> Arc<Self> {
        let Elsewhere { id, to, start, deadline, trace, respond } = from;
        let id = id.map_or_else(new_id, Arc::from);
        trace.name(&id);
        Arc::new(Self {
            id,
            journey: None,
            origin: Origin::Elsewhere(to),
            route,
            start,
            deadline,
            trace,
            replied: AtomicBool::new(respond.is_none()),
            client: Mutex::new(respond.map(Client::Elsewhere)),
            left: AtomicBool::new(false),
            _permit: permit,
        })
    }

    /// Gives the answer. Returns false when there was one before, or the client has left.
    pub fn answer(&self, answer: Answer, trail: Trail) -> bool {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        if client.is_some() {
            self.replied.store(true, Ordering::Release);
        }
        match client {
            Some(Client::Elsewhere(respond)) => {
                respond(answer, trail);
                true
            }
            Some(Client::Here(client)) => {
                trail.done();
                client.send(answer).is_ok()
            }
            None => {
                trail.done();
                false
            }
        }
    }

    /// Notes how it ended for its client.
    pub(super) fn end(&self, end: End) {
        if let Some(journey) = &self.journey {
            journey.end(end);
        }
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
/// Dropped, it is given back to a broker that keeps messages; else its client, should it wait, is told
/// that the request was lost: nobody waits in vain.
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
    /// What the engine needed for the form of its messages.
    pub serialised: Serialised,
    /// What the broker is told of it. None where the broker keeps no messages.
    pub receipt: Option<Receipt>,
    handed_on: bool,
}

impl Delivery {
    /// A request's message at one station.
    pub fn new(request: Arc<Request>, position: usize, payload: Payload, tracking: Vec<Tracking>) -> Self {
        Self {
            request,
            position,
            payload,
            tracking,
            retries_left: 0,
            serialised: Serialised::default(),
            receipt: None,
            handed_on: false,
        }
    }

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
        let Some(journey) = &self.request.journey else { return };
        let posted = self.tracking.last().map_or(self.request.start, |previous| previous.end);
        journey.hop(Hop {
            node: self.node(),
            position: self.position,
            posted,
            handled,
            serialised: self.serialised,
            ending: journey::ending(result),
        });
    }

    /// Its work is done: nobody has to hear of it any more.
    pub(super) fn done(self) {
        if let Some(receipt) = self.handed_on() {
            receipt.done();
        }
    }

    /// It was handed on as it is: what is left of it says nothing.
    pub(crate) fn handed_on(mut self) -> Option<Receipt> {
        let receipt = self.receipt.take();
        self.handed_on = true;
        receipt
    }

    pub(super) fn step<'a>(&'a self, node: &'a Name) -> Step<'a> {
        Step {
            node,
            last: self.is_last(),
            replied: self.request.replied(),
            retries_left: self.retries_left,
            redeliveries_left: self.receipt.as_ref().map_or(0, Receipt::redeliveries_left),
            answer_type: &self.request.route.answer_type,
            answer_limit: self.request.route.answer_limit,
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        match self.receipt.take() {
            Some(receipt) if self.request.left() => receipt.done(),
            Some(given_back) => drop(given_back),
            None if self.handed_on || self.request.replied() || self.request.left() => {}
            None => {
                self.request.answer(Err(Failure::Lost), Trail::default());
            }
        }
    }
}

/// A UUID, version 7.
fn new_id() -> Arc<str> {
    let mut text = Uuid::encode_buffer();
    Arc::from(&*Uuid::now_v7().hyphenated().encode_lower(&mut text))
}
