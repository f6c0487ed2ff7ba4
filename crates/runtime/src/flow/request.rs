//! A request: one client that waits for one answer.

use super::{
    HandlerTimes,
    acker::Acker,
    admission::Permit,
    answer::{Answer, AnswerMessage, AnswerMeta, LocalReply, Messages, ReplySink},
    now,
    record::{CodecTimes, End, OpenRecord, RequestRecords, WorkElsewhere},
    route::Route,
};
use crate::{memory::Reservation, traces::Trace};
use krt_model::{
    message::{Payload, Timestamp, Tracking},
    metadata::Metadata,
    name::Name,
    outcome::{Failure, HandlerResult, Step},
    priority::Priority,
    request::{Cached, Hop, HopChain, HopEnding, StreamedAnswer},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// The time limit of a request's answer.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The instant of the deadline.
    pub at: Instant,
    /// The time allowed, counted from the request's arrival.
    pub within: Duration,
    /// The deadline by the clock of the entrypoint's machine.
    pub wall_clock: Timestamp,
}

impl Deadline {
    /// Returns a deadline `within` from now.
    pub fn after(within: Duration) -> Self {
        let wall_clock = now().0.saturating_add(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX));
        Self { at: Instant::now() + within, within, wall_clock: Timestamp(wall_clock) }
    }
}

/// What a request of this ingress has beside its message.
#[derive(Debug)]
pub struct RequestHead {
    /// When its client stops waiting.
    pub deadline: Deadline,
    /// The trace it belongs to.
    pub trace: Trace,
    /// What its client sent for the handlers.
    pub metadata: Metadata,
    /// How early it is handled among those that wait.
    pub priority: Priority,
}

/// A request received elsewhere.
#[derive(Debug)]
pub struct RemoteRequest {
    /// Its id; a new one is created if missing.
    pub id: Option<Arc<str>>,
    /// When it was received.
    pub start: Timestamp,
    /// When its client stops waiting, if known.
    pub deadline: Option<Deadline>,
    /// The trace it belongs to.
    pub trace: Trace,
    /// What its client sent for the handlers.
    pub metadata: Metadata,
    /// How early it is handled among those that wait.
    pub priority: Priority,
    /// Takes its answer.
    pub reply: Box<dyn ReplySink>,
    /// The calls of handlers before.
    pub hops: HopChain,
    /// Whether it has been answered.
    pub replied: bool,
}

/// The receiver of a request's answer.
#[derive(Debug)]
enum Client {
    /// A client of this ingress.
    Local(LocalReply),
    /// A remote entrypoint.
    Remote(RemoteClient),
}

#[derive(Debug)]
struct RemoteClient {
    reply: Box<dyn ReplySink>,
    /// The calls of handlers that came with the message, and those in this engine.
    hops: Mutex<HopChain>,
}

impl RemoteClient {
    fn hops(&self) -> MutexGuard<'_, HopChain> {
        self.hops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request. It passes on exactly one answer: the first, with its end.
#[derive(Debug)]
pub struct Request {
    /// Names the request in logs and measurements (KRT v1's tracking id): a UUID, version 7.
    pub id: Arc<str>,
    /// Its target.
    pub route: Arc<Route>,
    /// When it was received.
    pub start: Timestamp,
    /// When its client stops waiting; `None` if the work continues without a client.
    pub deadline: Option<Deadline>,
    /// The trace it belongs to, passed on with its messages.
    pub trace: Trace,
    /// What its client sent for the handlers, passed on with its messages.
    pub metadata: Metadata,
    /// How early it is handled among those that wait. It is not passed on to other engines.
    pub priority: Priority,
    /// The place of its message among those that wait: the lowest comes first. The queue sets it.
    pub(super) rank: AtomicI64,
    /// Its record, kept only in the engine that received it.
    pub(crate) record: Option<Arc<OpenRecord>>,
    client: Client,
    /// Whether its work has begun, or the cache has answered it.
    begun: AtomicBool,
    replied: AtomicBool,
    left: AtomicBool,
    permit: Arc<Permit>,
}

impl Request {
    /// Opens a request received at this ingress.
    pub(super) fn open(
        route: Arc<Route>,
        start: Timestamp,
        head: RequestHead,
        permit: Arc<Permit>,
        request_records: &Arc<RequestRecords>,
    ) -> Arc<Self> {
        let id = new_id();
        let RequestHead { deadline, trace, metadata, priority } = head;
        trace.name(&id);
        let record = Some(request_records.open(&id, &route, start, permit.bytes()));
        Arc::new(Self {
            id,
            route,
            start,
            deadline: Some(deadline),
            trace,
            metadata,
            priority,
            rank: AtomicI64::new(0),
            record,
            client: Client::Local(LocalReply::default()),
            begun: AtomicBool::new(false),
            replied: AtomicBool::new(false),
            left: AtomicBool::new(false),
            permit,
        })
    }

    /// Creates a request received elsewhere.
    pub fn remote(from: RemoteRequest, route: Arc<Route>, permit: Permit) -> Arc<Self> {
        let RemoteRequest { id, start, deadline, trace, metadata, priority, reply, hops, replied } = from;
        let id = id.unwrap_or_else(new_id);
        trace.name(&id);
        Arc::new(Self {
            id,
            record: None,
            route,
            start,
            deadline,
            trace,
            metadata,
            priority,
            rank: AtomicI64::new(0),
            client: Client::Remote(RemoteClient { reply, hops: Mutex::new(hops) }),
            begun: AtomicBool::new(true),
            replied: AtomicBool::new(replied),
            left: AtomicBool::new(false),
            permit: Arc::new(permit),
        })
    }

    /// Adds a message to the answer, which is a stream and goes on. Drops it if the answer has ended.
    pub(super) fn send(&self, message: AnswerMessage) {
        if self.replied() || self.left() {
            return;
        }
        match &self.client {
            Client::Local(reply) => reply.message(message),
            Client::Remote(client) => client.reply.message(message),
        }
    }

    /// Answers the request. Returns false if it already had an answer or the client has left.
    pub fn answer(&self, answer: Answer, meta: AnswerMeta) -> bool {
        self.end(answer.map(Some), meta)
    }

    /// Ends the answer, after a last message if there is one. Returns false if it had ended or the client has left.
    pub(super) fn end(&self, last: Result<Option<Payload>, Failure>, mut meta: AnswerMeta) -> bool {
        if self.replied.swap(true, Ordering::AcqRel) {
            meta.ack();
            return false;
        }
        let sink: &dyn ReplySink = match &self.client {
            Client::Local(reply) => reply,
            Client::Remote(client) => {
                meta.hops = client.hops().clone();
                &*client.reply
            }
        };
        let status = last.map(|message| {
            if let Some(message) = message {
                sink.message(message.into());
            }
        });
        sink.end(status, meta)
    }

    /// Ends the answer to a client of this ingress at once, without the messages that it has not taken. Returns false
    /// if it had ended.
    pub(super) fn abort(&self, failure: Failure) -> bool {
        let aborted = !self.replied.swap(true, Ordering::AcqRel);
        if aborted && let Client::Local(reply) = &self.client {
            reply.abort(failure);
        }
        aborted
    }

    /// Returns what takes the answer if the request was received elsewhere.
    pub fn remote_reply(&self) -> Option<&dyn ReplySink> {
        match &self.client {
            Client::Local(_) => None,
            Client::Remote(client) => Some(&*client.reply),
        }
    }

    /// Returns the calls of handlers that the request's next message carries to its ingress; none at its ingress.
    pub fn hops(&self) -> HopChain {
        match &self.client {
            Client::Local(_) => HopChain::default(),
            Client::Remote(client) => client.hops().clone(),
        }
    }

    /// Adds calls of handlers in other engines to the record.
    pub fn add_hops(&self, hops: &HopChain) {
        if let Some(record) = &self.record {
            record.append(hops);
        }
    }

    /// Keeps the record open for work in other engines; `None` if the request was received elsewhere.
    pub fn work_elsewhere(&self) -> Option<WorkElsewhere> {
        self.record.clone().map(OpenRecord::work_elsewhere)
    }

    fn add_hop(&self, hop: Hop) {
        match (&self.record, &self.client) {
            (Some(record), _) => record.hop(hop),
            (None, Client::Remote(client)) => client.hops().push(hop),
            (None, Client::Local(_)) => {}
        }
    }

    /// Returns the nanoseconds from the request's arrival to `time`; negative if another machine's clock is
    /// behind.
    pub fn after(&self, time: Timestamp) -> i64 {
        time.0.wrapping_sub(self.start.0).cast_signed()
    }

    /// Polls for the answer to a client of this ingress.
    pub(super) fn poll_answer(&self, context: &Context<'_>) -> Poll<Result<Messages, Failure>> {
        match &self.client {
            Client::Local(reply) => reply.poll_end(context),
            Client::Remote(_) => Poll::Pending,
        }
    }

    /// Polls for the next message of the answer to a client of this ingress.
    pub(super) fn poll_message(&self, context: &Context<'_>) -> Poll<Result<Option<AnswerMessage>, Failure>> {
        match &self.client {
            Client::Local(reply) => reply.poll_next(context),
            Client::Remote(_) => Poll::Pending,
        }
    }

    /// Returns an empty reservation of memory for the request.
    pub fn reserve(&self) -> Reservation {
        self.permit.reserve()
    }

    /// Closes it for its client. `stream`: what the client has taken of a stream.
    pub(super) fn close(&self, end: End, stream: Option<StreamedAnswer>) {
        if let Some(record) = &self.record {
            record.end(end, stream);
        }
        if let Client::Local(reply) = &self.client {
            reply.close();
        }
    }

    /// Notes that the cache answers it, so that it has no work.
    pub(super) fn cached(&self, cached: Cached) {
        self.trace.cached(cached.as_str());
        if let Some(record) = &self.record {
            record.cached(cached);
        }
        self.begin();
        self.work_ended();
    }

    /// Notes that its work begins.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Returns whether its work has begun. What has not begun waits for an equal request.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Notes that its work in this engine has ended.
    pub(super) fn work_ended(&self) {
        if let Some(record) = &self.record {
            record.work_ended();
        }
    }

    /// Returns whether it has been answered.
    pub fn replied(&self) -> bool {
        self.replied.load(Ordering::Acquire)
    }

    /// Returns whether the client left before its answer, so that nothing needs the work.
    pub fn left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }
}

/// A request's message at one node of its workflow.
///
/// It ends where something takes it over ([`Delivery::into_acker`]) or closes it ([`Delivery::close`]). Dropped
/// before, as when a worker's task panics, it is closed as what that means: nothing needs it if its client has
/// left, otherwise it is lost.
#[derive(Debug)]
pub struct Delivery {
    /// The request it belongs to.
    pub request: Arc<Request>,
    /// Its stage in the workflow, from 0.
    pub position: usize,
    /// The message.
    pub payload: Payload,
    /// The stages passed so far.
    pub tracking: Vec<Tracking>,
    /// How many more times another process may get it.
    pub retries_left: u16,
    /// How many messages of the answer its handler has sent.
    pub sent: u32,
    /// The engine's time for converting its messages.
    pub codec_times: CodecTimes,
    /// When a worker may have begun with it; known once the worker is no longer waited for.
    pub(crate) called: Option<Timestamp>,
    /// Acknowledges it; `None` if the broker keeps no messages.
    pub acker: Option<Acker>,
    closed: bool,
}

/// How a delivery ends that nothing takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// Its work is done, or nothing needs it: its message is acknowledged.
    Done,
    /// No process here has seen it: its message returns to the broker, for another engine.
    Untouched,
    /// No process here can finish it: its message returns to the broker, and is redelivered after a pause. Without
    /// a broker that keeps messages, a client that still waits gets [`Failure::Lost`].
    Lost,
}

impl Delivery {
    /// Creates a request's message at one stage.
    pub fn new(request: Arc<Request>, position: usize, payload: Payload, tracking: Vec<Tracking>) -> Self {
        Self {
            request,
            position,
            payload,
            tracking,
            retries_left: 0,
            sent: 0,
            codec_times: CodecTimes::default(),
            called: None,
            acker: None,
            closed: false,
        }
    }

    /// Returns its current node, by index in the version.
    pub fn node(&self) -> usize {
        self.request.route.sequence[self.position]
    }

    /// Returns whether its workflow ends at this node.
    pub fn is_last(&self) -> bool {
        self.position + 1 == self.request.route.sequence.len()
    }

    /// Adds the handler call to the request's record.
    pub(super) fn note_hop(&mut self, node: &Name, handled: HandlerTimes, result: &HandlerResult) {
        let called = self.called.take();
        // Equal times are the engine's own: no handler has reported any.
        let start = called.filter(|_| handled.start == handled.end).unwrap_or(handled.start);
        self.record_hop(node, HandlerTimes { start, end: handled.end }, HopEnding::of(result));
    }

    /// Adds the handler call to the request's record, if a worker has begun with it: the request was
    /// cancelled, and nobody waits for the worker's result.
    pub(crate) fn note_cancelled(&mut self, node: &Name) {
        if let Some(start) = self.called.take() {
            self.record_hop(node, HandlerTimes { start, end: now() }, HopEnding::Cancelled);
        }
    }

    fn record_hop(&self, node: &Name, handled: HandlerTimes, ending: HopEnding) {
        let request = &self.request;
        let posted = self.tracking.last().map_or(request.start, |previous| previous.end);
        request.add_hop(Hop {
            node: node.clone(),
            position: self.position,
            posted: request.after(posted),
            start: request.after(handled.start),
            end: request.after(handled.end),
            encode: self.codec_times.encode,
            decode: self.codec_times.decode,
            ending,
        });
    }

    /// Ends it here.
    pub(crate) fn close(mut self, closing: DeliveryEnd) {
        self.end(closing);
    }

    /// Takes out its acker: something else takes over its message.
    pub(crate) fn into_acker(mut self) -> Option<Acker> {
        self.closed = true;
        let acker = self.acker.take();
        self.request.work_ended();
        acker
    }

    fn end(&mut self, closing: DeliveryEnd) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        match (closing, self.acker.take()) {
            (DeliveryEnd::Done, Some(acker)) => acker.ack(),
            (DeliveryEnd::Untouched, Some(acker)) => acker.nak(),
            // An acker that is dropped gives its message back, to be redelivered after a pause.
            (DeliveryEnd::Lost, Some(acker)) => drop(acker),
            (DeliveryEnd::Lost, None) => {
                self.request.answer(Err(Failure::Lost), AnswerMeta::default());
            }
            (DeliveryEnd::Done | DeliveryEnd::Untouched, None) => {}
        }
        self.request.work_ended();
    }

    /// Returns whether the broker delivered its message before.
    pub(super) fn is_redelivered(&self) -> bool {
        self.acker.as_ref().is_some_and(|acker| acker.is_redelivered())
    }

    pub(super) fn step<'a>(&'a self, node: &'a Name) -> Step<'a> {
        Step {
            node,
            last: self.is_last(),
            replied: self.request.replied(),
            redelivered: self.is_redelivered(),
            retries_left: self.retries_left,
            redeliveries_left: self.acker.as_ref().map_or(0, |acker| acker.redeliveries_left()),
            answer_type: &self.request.route.answer_type,
            answer_limit: self.request.route.answer_limit,
            streams: self.request.route.streams,
            sent: self.sent,
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.end(if self.request.left() { DeliveryEnd::Done } else { DeliveryEnd::Lost });
    }
}

/// Returns a UUID, version 7.
fn new_id() -> Arc<str> {
    let mut text = Uuid::encode_buffer();
    Arc::from(&*Uuid::now_v7().hyphenated().encode_lower(&mut text))
}
