//! Runs requests through their workflow: admission, queues, outcomes.
//!
//! This module knows no sockets and no processes. The ingress ([`crate::ingress`]) calls [`Flow::request`]. A
//! [`Worker`] joins a [`NodeQueue`], takes deliveries and returns each through [`Flow::finish`].
//!
//! Back-pressure applies at the ingress: [`Admission`] bounds the requests and bytes in flight. A request
//! occupies one place in one queue at a time, so the queues are bounded as well, and posting from node to
//! node never blocks: two workflows that cross each other's nodes cannot deadlock.

mod acker;
mod admission;
mod answer;
mod batch;
mod broker;
mod cache;
mod elapsed;
mod hop;
mod load;
mod pending;
mod priority;
mod queue;
mod record;
mod request;
mod route;

pub use acker::{Acker, Acknowledge};
pub use admission::{Admission, Limits, Permit, no_memory};
pub use answer::{Answer, AnswerMessage, AnswerMeta, Credit, Messages, ReplySink, Sender};
pub use batch::Curve;
pub use broker::{Broker, Refused};
pub use cache::CacheKey;
pub use load::QueueLoad;
pub use pending::{AnswerStream, PendingAnswer};
pub use queue::{Accepted, NodeQueue, SlotId, StageIndex, Worker};
pub use record::{CodecTimes, OpenRecord, RequestRecords, WorkElsewhere};
pub use request::{Deadline, Delivery, DeliveryEnd, RemoteRequest, Request, RequestHead};
pub use route::Route;

use crate::{
    memory::Reservation,
    metrics::{Metrics, NodeGauges},
};
use batch::Batcher;
use broker::Memory;
use cache::{AnswerCache, Found};
use elapsed::Elapsed;
use krt_model::{
    hint,
    message::{Payload, Timestamp, Tracking},
    outcome::{self, Failure, HandlerResult, Outcome},
    request::{Cached, Ending, HopChain},
    version::{Node, Version, Workflow},
};
use krt_store::Store;
use load::Meter;
use prometheus_client::registry::Registry;
use queue::Patience;
pub(crate) use record::Saving;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// All workflows of one version, running.
#[derive(Debug)]
pub struct Flow {
    queues: Arc<[Arc<NodeQueue>]>,
    broker: Arc<dyn Broker>,
    retries: Vec<u16>,
    admission: Arc<Admission>,
    elapsed: Elapsed,
    /// By node: whether its processes measure their own times.
    measured: Vec<bool>,
    metrics: Metrics,
    /// By workflow.
    caches: Vec<Option<Arc<AnswerCache>>>,
    request_records: Arc<RequestRecords>,
    workers: watch::Sender<()>,
}

/// The start and end of a handler call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlerTimes {
    /// Time of the call.
    pub start: Timestamp,
    /// Time of the return.
    pub end: Timestamp,
}

impl Flow {
    /// Builds the flow of a version whose nodes all run in this engine. Its queues are empty until workers
    /// join.
    pub fn new(version: &Version, limits: Limits, store: &Store) -> Self {
        Self::build(version, Admission::new(limits), store, None)
    }

    /// Builds the flow of a version whose nodes exchange messages through a broker.
    pub fn over(version: &Version, admission: Admission, store: &Store, broker: Arc<dyn Broker>) -> Self {
        Self::build(version, admission, store, Some(broker))
    }

    fn build(
        version: &Version,
        admission: Admission,
        store: &Store,
        broker: Option<Arc<dyn Broker>>,
    ) -> Self {
        let workers = watch::Sender::new(());
        let queue = |(index, node): (usize, &Node)| {
            let places = places(version, index);
            let batcher = Batcher::of(&node.run);
            let Node { name, run, .. } = node;
            let patience = Patience { restart: run.retries > 0, wake: run.replicas.min == 0 };
            let meter = || Meter::new(run.batch.map_or(1, |batch| batch.max.into()));
            let meter = run.replicas.follow().then(meter);
            Arc::new(NodeQueue::new(name.clone(), patience, places, batcher, meter, workers.clone()))
        };
        let queues: Arc<[_]> = version.nodes.iter().enumerate().map(queue).collect();
        let metrics = Metrics::new(version, broker.is_some());
        let cache = |(index, workflow): (usize, &Workflow)| {
            Some(AnswerCache::new(workflow.cache.as_ref()?, metrics.cache(index)?.clone()))
        };
        Self {
            broker: broker.unwrap_or_else(|| Arc::new(Memory { queues: Arc::clone(&queues) })),
            queues,
            retries: version.nodes.iter().map(|node| node.run.retries).collect(),
            admission: Arc::new(admission),
            elapsed: Elapsed::new(version, store),
            measured: version.nodes.iter().map(measures).collect(),
            caches: version.workflows.iter().enumerate().map(cache).collect(),
            metrics,
            request_records: Arc::new(RequestRecords::new(version, store)),
            workers,
        }
    }

    /// Returns the queue of a node, by its index in the version.
    pub fn queue(&self, node: usize) -> &Arc<NodeQueue> {
        &self.queues[node]
    }

    /// Returns a receiver that changes when a node may have appeared or disappeared.
    pub fn watch_nodes(&self) -> watch::Receiver<()> {
        self.workers.subscribe()
    }

    /// Notifies the watchers that a node may have appeared or disappeared elsewhere.
    pub fn nodes_changed(&self) {
        self.workers.send_replace(());
    }

    /// Returns whether a message for a node would be handled.
    pub fn serves(&self, node: usize) -> bool {
        self.broker.serves(node)
    }

    /// The admission of requests.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// The metrics since the start.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The records of requests received at this ingress.
    pub fn request_records(&self) -> &RequestRecords {
        &self.request_records
    }

    /// Renders the metrics as text, followed by those of `more`.
    pub fn metrics_text(&self, more: &Registry) -> String {
        let now = |queue: &Arc<NodeQueue>| NodeGauges {
            waiting: queue.depth(),
            workers: queue.workers(),
            wanted: queue.wanted(),
        };
        let connected = self.broker.is_connected();
        self.caches.iter().flatten().for_each(|cache| cache.measure());
        self.metrics.text(self.admission.in_flight(), connected, self.queues.iter().map(now), more)
    }

    /// Admits a request of `bytes` bytes, if there is room.
    pub fn enter(&self, route: &Route, bytes: usize) -> Result<Permit, Failure> {
        self.admission.enter(bytes).inspect_err(|failure| {
            self.metrics.request(route.index, Ending::Failed, Duration::ZERO);
            self.metrics.failure(route.index, failure);
        })
    }

    /// Returns an empty reservation of request memory.
    pub fn reserve(&self) -> Reservation {
        self.admission.memory().reserve()
    }

    /// Returns whether the answers of a route are kept for equal requests.
    pub fn has_cache(&self, route: &Route) -> bool {
        self.caches[route.index].is_some()
    }

    /// Forgets the kept answers: handlers may answer otherwise from now on.
    pub fn forget_answers(&self) {
        self.caches.iter().flatten().for_each(|cache| cache.clear());
    }

    /// Sends a message through a workflow, unless there is an answer to an equal request, of the same key. Records the
    /// stages in the trace.
    pub fn request(
        &self,
        permit: Arc<Permit>,
        route: &Arc<Route>,
        payload: Payload,
        head: RequestHead,
        key: Option<CacheKey>,
    ) -> PendingAnswer<'_> {
        let (start, begun, deadline) = (now(), Instant::now(), head.deadline);
        let request = Request::open(Arc::clone(route), start, head, permit, &self.request_records);
        let pending = PendingAnswer::new(self, Arc::clone(&request), deadline, begun);
        let cache = key.and_then(|key| Some((key, self.caches[route.index].as_ref()?)));
        match cache.map(|(key, cache)| cache.find(key)) {
            None => self.begin(request, payload),
            Some(Found::Answer(answer)) => self.answer_from_cache(&request, Cached::Hit, answer),
            Some(Found::Flight(flight)) => return pending.waiting_for(flight, payload),
        }
        pending
    }

    /// Sends a request's message to the first node.
    fn begin(&self, request: Arc<Request>, payload: Payload) {
        request.begin();
        let mut tracking = Vec::with_capacity(request.route.sequence.len() + 1);
        tracking.push(Tracking { node: None, start: request.start, end: now() });
        self.post(Delivery::new(request, 0, payload, tracking));
    }

    /// Answers a request that no node gets.
    fn answer_from_cache(&self, request: &Request, cached: Cached, answer: Payload) {
        request.cached(cached);
        request.answer(Ok(answer), AnswerMeta::default());
    }

    /// Takes back a delivery with its handler's result and decides the next step of the request.
    pub fn finish(&self, mut delivery: Delivery, result: HandlerResult, handled: HandlerTimes) {
        let node = self.node_of(&delivery).clone();
        let succeeded = matches!(result, HandlerResult::Message { .. } | HandlerResult::Nothing { .. });
        if succeeded || matches!(result, HandlerResult::Error(_)) {
            self.handled(&delivery, handled, !succeeded);
        }
        if result != HandlerResult::Untouched {
            delivery.note_hop(&node, handled, &result);
        }
        let outcome = outcome::decide(&delivery.step(&node), result);
        delivery.request.trace.leave(|| hop::hop_end(&outcome, handled));
        if succeeded && !matches!(outcome, Outcome::Fail(_) | Outcome::FailedInBackground(_)) {
            if !self.measured[delivery.node()] {
                self.elapsed.node(&delivery, handled);
            }
            delivery.tracking.push(Tracking { node: Some(node), start: handled.start, end: handled.end });
        }
        match outcome {
            Outcome::Next(payload) => self.pass_on(delivery, payload),
            Outcome::Answer(payload) => {
                self.measure_workflow(&delivery, handled);
                self.reply(delivery, Ok(payload));
            }
            Outcome::EndStream => {
                self.measure_workflow(&delivery, handled);
                self.end(delivery, Ok(None));
            }
            Outcome::Fail(failure) | Outcome::FailedInBackground(failure) => self.fail(delivery, failure),
            Outcome::Retry { counts } => {
                delivery.retries_left -= u16::from(counts);
                self.enqueue(delivery);
            }
            Outcome::Redeliver => {
                self.log_returned(&delivery);
                delivery.close(DeliveryEnd::Lost);
            }
            Outcome::Finished => {
                self.measure_workflow(&delivery, handled);
                self.dropped_result(&delivery);
                delivery.close(DeliveryEnd::Done);
            }
            Outcome::Dropped => {
                self.metrics.late.inc();
                // A worker may give up what nobody cancelled.
                let closing = if delivery.request.left() { DeliveryEnd::Done } else { DeliveryEnd::Lost };
                delivery.close(closing);
            }
        }
    }

    /// Takes back the deliveries of a batch that failed as a whole, and gives its halves to the node again, until the
    /// delivery at fault is alone.
    ///
    /// Each round halves a batch, so a delivery is handled at most `log2(size) + 1` times, rounded up. Rounds use up
    /// neither retries nor redeliveries. All deliveries are of one node.
    pub fn split(
        &self,
        node: usize,
        mut batch: Vec<Delivery>,
        result: &HandlerResult,
        handled: HandlerTimes,
    ) {
        let (queue, size) = (&self.queues[node], batch.len());
        tracing::warn!(node = %queue.node(), "a batch failed as a whole and is split; its messages: {size}");
        for delivery in &mut batch {
            delivery.note_hop(queue.node(), handled, result);
            delivery.request.trace.leave(|| hop::split(handled));
            hop::arrive(delivery, queue.node());
        }
        queue.again(batch);
    }

    /// Answers the client now, while the workflow continues. Returns whether a client was waiting.
    ///
    /// If the handler's reply could not become an answer, `answer` is that failure.
    pub fn reply_early(&self, delivery: &Delivery, answer: Result<Payload, Failure>) -> bool {
        let step = delivery.step(self.node_of(delivery));
        let answer = answer.and_then(|payload| outcome::check_answer(&step, &payload).map(|()| payload));
        if let Err(failure) = &answer {
            tracing::error!(
                workflow = %delivery.request.route.workflow,
                node = %self.node_of(delivery),
                request = %delivery.request.id,
                "the early reply was refused: {}",
                hint::line(failure)
            );
        }
        if let Some(record) = &delivery.request.record {
            record.replied_early();
        }
        if answer.is_ok() && !step.replied {
            delivery.request.trace.event(hop::EARLY_REPLY);
        }
        delivery
            .request
            .answer(answer, AnswerMeta { tracking: delivery.tracking.clone(), ..AnswerMeta::default() })
    }

    /// Checks a message that a handler sends before the end of its answer, which is a stream.
    pub fn check_message(&self, delivery: &Delivery, message: &Payload) -> Result<(), Failure> {
        outcome::check_answer(&delivery.step(self.node_of(delivery)), message)
    }

    /// Sends a message to the client; the answer goes on.
    pub fn send(&self, request: &Request, message: AnswerMessage) {
        request.send(message);
    }

    /// Measures the workflow, unless the processes of its last node (an older runner) do so themselves.
    fn measure_workflow(&self, delivery: &Delivery, handled: HandlerTimes) {
        if !(delivery.is_last() && self.measured[delivery.node()]) {
            self.elapsed.workflow(delivery, handled.end);
        }
    }

    fn handled(&self, delivery: &Delivery, handled: HandlerTimes, failed: bool) {
        let Some(previous) = delivery.tracking.last() else { return };
        let between = |from: Timestamp, to: Timestamp| Duration::from_nanos(to.0.saturating_sub(from.0));
        let (took, waited) = (between(handled.start, handled.end), between(previous.end, handled.start));
        self.metrics.handled(delivery.node(), took, waited, failed);
    }

    fn pass_on(&self, mut delivery: Delivery, payload: Payload) {
        delivery.payload = payload;
        delivery.position += 1;
        self.post(delivery);
    }

    /// Sends a delivery to its node, here or in another engine.
    fn post(&self, mut delivery: Delivery) {
        delivery.retries_left = self.retries[delivery.node()];
        if let Err(refused) = self.broker.post(delivery) {
            let Refused { delivery, failure } = *refused;
            self.fail(delivery, failure);
        }
    }

    /// Takes a delivery that another engine sent to a node of this one.
    pub fn receive(&self, mut delivery: Delivery) {
        delivery.retries_left = self.retries[delivery.node()];
        self.enqueue(delivery);
    }

    /// Puts a delivery on its node's queue in this engine, unless its client has left.
    fn enqueue(&self, delivery: Delivery) {
        hop::arrive(&delivery, self.node_of(&delivery));
        if let Err(delivery) = self.queues[delivery.node()].post(delivery) {
            self.down(delivery);
        }
    }

    /// Fails the waiting deliveries that have no worker left, unless the node has retries.
    pub fn clear(&self, node: usize) {
        for delivery in self.queues[node].clear() {
            self.down(delivery);
        }
    }

    /// Gives up the parts of a node's failed batches after a worker could not start, unless another is up: they go
    /// back to the broker, or fail. Until then they wait for the next worker.
    pub fn clear_parts(&self, node: usize) {
        for delivery in self.queues[node].clear_parts() {
            self.down(delivery);
        }
    }

    /// Gives up the deliveries that wait for a node that cannot be woken, unless another worker is up: they go back to
    /// the broker, or fail.
    pub fn cannot_wake(&self, node: usize, reason: &str) {
        for delivery in self.queues[node].clear_all() {
            if delivery.acker.is_some() {
                delivery.close(DeliveryEnd::Lost);
                continue;
            }
            let node = self.node_of(&delivery).clone();
            self.fail(delivery, Failure::NotStarted { node, reason: reason.to_owned() });
        }
    }

    /// Gives a node's waiting deliveries back to the broker, for other engines.
    pub fn return_waiting(&self, node: usize) {
        for delivery in self.queues[node].take_back() {
            delivery.close(DeliveryEnd::Untouched);
        }
    }

    /// Handles a delivery whose node has no process here. If the broker keeps it, another engine may take it.
    fn down(&self, delivery: Delivery) {
        if delivery.acker.is_some() {
            return delivery.close(DeliveryEnd::Lost);
        }
        let failure = Failure::Down { node: self.node_of(&delivery).clone() };
        self.fail(delivery, failure);
    }

    fn reply(&self, delivery: Delivery, answer: Answer) {
        self.end(delivery, answer.map(Some));
    }

    /// Ends the answer of a delivery's request, after a last message if there is one.
    fn end(&self, mut delivery: Delivery, last: Result<Option<Payload>, Failure>) {
        let (request, tracking) = (Arc::clone(&delivery.request), std::mem::take(&mut delivery.tracking));
        let acker = delivery.into_acker();
        if !request.end(last, AnswerMeta { tracking, acker, ..AnswerMeta::default() }) {
            self.metrics.late.inc();
        }
    }

    /// Fails a delivery.
    pub fn fail(&self, mut delivery: Delivery, failure: Failure) {
        delivery.request.trace.leave(|| hop::failure(&failure));
        if delivery.request.replied() {
            self.failed_in_background(&delivery, &failure);
        } else if delivery.is_redelivered() {
            // An early reply of an earlier delivery may have confirmed the work. So the message is kept.
            let tracking = std::mem::take(&mut delivery.tracking);
            delivery.request.answer(Err(failure.clone()), AnswerMeta { tracking, ..AnswerMeta::default() });
        } else {
            return self.reply(delivery, Err(failure));
        }
        if let Some(acker) = delivery.into_acker() {
            self.give_up(acker, &hint::line(&failure));
        }
    }

    /// Passes on an answer from another engine to a request of this ingress, with the calls of handlers before it.
    /// A stream has no message at its end.
    pub fn reply_from_remote(
        &self,
        request: &Request,
        answer: Result<Option<Payload>, Failure>,
        hops: &HopChain,
    ) {
        request.add_hops(hops);
        if !request.end(answer, AnswerMeta::default()) {
            self.metrics.late.inc();
        }
    }

    /// Fails a request of this ingress whose answer cannot be read, or does not come. A handler that may still send
    /// messages of a stream is stopped.
    pub fn fail_from_remote(&self, request: &Request, failure: Failure, hops: &HopChain) {
        self.reply_from_remote(request, Err(failure), hops);
        if request.route.streams {
            self.stop(request);
        }
    }

    /// Records the loss, between two engines, of a message whose client already has its answer.
    pub fn lost_in_background(&self, workflow: &str, node: &str, request: &str, failure: &Failure) {
        self.metrics.failed_in_background.inc();
        tracing::error!(
            workflow,
            node,
            request,
            "the workflow failed after its early reply: {}",
            hint::line(failure)
        );
    }

    /// Dead-letters a message, with the reason.
    pub fn give_up(&self, acker: Acker, reason: &str) {
        self.metrics.broker.dead.inc();
        acker.dead_letter(reason);
    }

    fn log_returned(&self, delivery: &Delivery) {
        tracing::warn!(
            workflow = %delivery.request.route.workflow,
            node = %self.node_of(delivery),
            request = %delivery.request.id,
            "its process died: the message returns to the broker and is redelivered"
        );
    }

    fn dropped_result(&self, delivery: &Delivery) {
        tracing::info!(
            workflow = %delivery.request.route.workflow,
            node = %self.node_of(delivery),
            request = %delivery.request.id,
            "the result is dropped: the request was replied to before"
        );
    }

    fn failed_in_background(&self, delivery: &Delivery, failure: &Failure) {
        self.metrics.failed_in_background.inc();
        tracing::error!(
            workflow = %delivery.request.route.workflow,
            node = %self.node_of(delivery),
            request = %delivery.request.id,
            "the workflow failed after its early reply: {}",
            hint::line(failure)
        );
    }

    fn node_of(&self, delivery: &Delivery) -> &krt_model::name::Name {
        self.queues[delivery.node()].node()
    }

    /// Stops a request's work everywhere, as its client has left.
    pub fn stop(&self, request: &Request) {
        request.leave();
        self.broker.cancel(request);
        request.trace.give_up();
        for &node in &request.route.sequence {
            self.queues[node].cancel(request);
        }
    }
}

/// Returns the places of a node's workers if each serves only one, as workers of older runners do.
fn places(version: &Version, node: usize) -> Vec<StageIndex> {
    if version.nodes[node].run.runner.older().is_none() {
        return Vec::new();
    }
    let workflows = version.workflows.iter().enumerate();
    let of = |(index, workflow): (usize, &Workflow)| {
        let sequence = workflow.sequence.clone().into_iter().enumerate();
        let here = sequence.filter(move |&(_, other)| other == node);
        here.map(move |(position, _)| (index, position))
    };
    workflows.flat_map(of).collect()
}

/// Returns whether a node's processes measure their own times.
fn measures(node: &Node) -> bool {
    node.run.runner.older().is_some_and(|older| older.measures)
}

/// Returns the current time of the system clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
