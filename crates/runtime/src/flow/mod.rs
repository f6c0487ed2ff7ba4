//! A request's way through its workflow: admission, desks, judgement.
//!
//! Nothing here knows of sockets or processes. The door ([`crate::entry`]) calls [`Flow::request`];
//! whoever runs user code joins a [`Desk`] as a [`Host`], takes deliveries, and gives each back
//! through [`Flow::finish`].
//!
//! Back-pressure stands at the door: [`Admission`] bounds requests and bytes in work, so that the
//! queues inside, which a request holds one place of at a time, are bounded too, and a post between
//! nodes can never block (two workflows that cross each other's nodes cannot deadlock).

mod admission;
mod broker;
mod desk;
mod elapsed;
mod hop;
mod journey;
mod request;

pub use admission::{Admission, Limits, Permit};
pub use broker::{Broker, Refused};
pub use desk::{Desk, Host, SeatId, Taken};
pub use journey::{Journey, Journeys, Serialised};
pub use request::{Answer, Deadline, Delivery, Elsewhere, Origin, ReplyTo, Request, Respond, Route, Trail};

use crate::{
    metrics::{Ending, Metrics, Now},
    traces::Trace,
};
use broker::Memory;
use elapsed::Elapsed;
use journey::End;
pub(crate) use journey::Saved;
use krt_broker::Receipt;
use krt_model::{
    message::{Payload, Timestamp, Tracking},
    outcome::{self, Failure, HandlerResult, Outcome},
    version::{Node, Version},
};
use krt_store::Store;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// All workflows of one version, at work.
#[derive(Debug)]
pub struct Flow {
    desks: Arc<[Arc<Desk>]>,
    broker: Arc<dyn Broker>,
    retries: Vec<u16>,
    admission: Arc<Admission>,
    elapsed: Elapsed,
    metrics: Metrics,
    journeys: Arc<Journeys>,
    hosts: watch::Sender<()>,
}

/// When a handler began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handled {
    /// When it was called.
    pub start: Timestamp,
    /// When it returned.
    pub end: Timestamp,
}

impl Flow {
    /// Builds the flow of a version whose nodes are all in this engine; its desks are empty until hosts
    /// join them.
    pub fn new(version: &Version, limits: Limits, store: &Store) -> Self {
        Self::build(version, limits, store, None)
    }

    /// Builds the flow of a version whose messages go from node to node through a broker.
    pub fn over(version: &Version, limits: Limits, store: &Store, broker: Arc<dyn Broker>) -> Self {
        Self::build(version, limits, store, Some(broker))
    }

    fn build(version: &Version, limits: Limits, store: &Store, broker: Option<Arc<dyn Broker>>) -> Self {
        let hosts = watch::Sender::new(());
        let desk = |node: &Node| Arc::new(Desk::new(node.name.clone(), node.run.retries > 0, hosts.clone()));
        let desks: Arc<[_]> = version.nodes.iter().map(desk).collect();
        let through_broker = broker.is_some();
        Self {
            broker: broker.unwrap_or_else(|| Arc::new(Memory { desks: Arc::clone(&desks) })),
            desks,
            retries: version.nodes.iter().map(|node| node.run.retries).collect(),
            admission: Arc::new(Admission::new(limits)),
            elapsed: Elapsed::new(version, store),
            metrics: Metrics::new(version, through_broker),
            journeys: Arc::new(Journeys::new(version, store)),
            hosts,
        }
    }

    /// The desk of a node, by its index in the version.
    pub fn desk(&self, node: usize) -> &Arc<Desk> {
        &self.desks[node]
    }

    /// Tells whenever a node may have come or gone.
    pub fn watch_nodes(&self) -> watch::Receiver<()> {
        self.hosts.subscribe()
    }

    /// A node may have come or gone elsewhere.
    pub fn nodes_changed(&self) {
        self.hosts.send_replace(());
    }

    /// Whether a message for a node would be handled.
    pub fn serves(&self, node: usize) -> bool {
        self.broker.serves(node)
    }

    /// Who may come in, and how many are in work.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// What happened since the start.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The requests that came in here.
    pub fn journeys(&self) -> &Journeys {
        &self.journeys
    }

    /// The metrics, as text.
    pub fn metrics_text(&self) -> String {
        let now = |desk: &Arc<Desk>| Now { waiting: desk.waiting(), hosts: desk.hosts() };
        let connected = self.broker.is_connected();
        self.metrics.text(self.admission.in_work(), connected, self.desks.iter().map(now))
    }

    /// Lets in a request of that many bytes, if there is room.
    pub fn enter(&self, route: &Route, bytes: usize) -> Result<Permit, Failure> {
        self.admission.enter(bytes).inspect_err(|failure| {
            self.metrics.request(route.index, Ending::Failed, Duration::ZERO);
            self.metrics.failure(route.index, failure);
        })
    }

    /// Sends a message through a workflow and waits for its one answer, until `deadline`. Its stations
    /// are told to `trace`.
    ///
    /// Dropping the future means that the client left: the work is stopped.
    pub async fn request(
        &self,
        permit: Permit,
        route: &Arc<Route>,
        payload: Payload,
        deadline: Deadline,
        trace: Trace,
    ) -> Result<Payload, Failure> {
        self.request_told(permit, route, payload, deadline, trace, |_| {}).await
    }

    /// As [`Flow::request`]; `told` learns the request's id as soon as there is one.
    pub async fn request_told(
        &self,
        permit: Permit,
        route: &Arc<Route>,
        payload: Payload,
        deadline: Deadline,
        trace: Trace,
        told: impl FnOnce(&Arc<str>),
    ) -> Result<Payload, Failure> {
        let (start, begun) = (now(), Instant::now());
        let (request, answer) =
            Request::open(Arc::clone(route), start, deadline, permit, trace, &self.journeys);
        told(&request.id);
        let mut waiting = Waiting { flow: self, request: Arc::clone(&request), begun, ended: false };
        let mut tracking = Vec::with_capacity(route.sequence.len() + 1);
        tracking.push(Tracking { node: None, start, end: now() });
        self.post(Delivery::new(request, 0, payload, tracking));
        let answer = tokio::time::timeout_at(deadline.at.into(), answer).await;
        waiting.ended = true;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failure::Lost),
            Err(_) => Err(Failure::Deadline { waited: deadline.within }),
        };
        let ending = if answer.is_ok() { Ending::Answered } else { Ending::Failed };
        self.metrics.request(route.index, ending, begun.elapsed());
        if let Err(failure) = &answer {
            self.metrics.failure(route.index, failure);
        }
        waiting.request.end(match &answer {
            Ok(payload) => End::Answered(payload.value().len()),
            Err(failure) => End::failed(failure),
        });
        answer
    }

    /// Takes back a delivery with what the handler made of it, and decides how the request goes on.
    pub fn finish(&self, mut delivery: Delivery, result: HandlerResult, handled: Handled) {
        let node = self.node_of(&delivery).clone();
        let succeeded = matches!(result, HandlerResult::Message { .. } | HandlerResult::Nothing { .. });
        if succeeded || matches!(result, HandlerResult::Error(_)) {
            self.handled(&delivery, handled, !succeeded);
        }
        if result != HandlerResult::Untouched {
            delivery.note_hop(handled, &result);
        }
        let outcome = outcome::judge(&delivery.step(&node), result);
        delivery.request.trace.leave(|| hop::departure(&outcome, handled));
        if succeeded && !matches!(outcome, Outcome::Fail(_) | Outcome::FailedInBackground(_)) {
            self.elapsed.node(&delivery, handled);
            delivery.tracking.push(Tracking { node: Some(node), start: handled.start, end: handled.end });
        }
        match outcome {
            Outcome::Next(payload) => self.pass_on(delivery, payload),
            Outcome::Answer(payload) => {
                self.elapsed.workflow(&delivery, handled.end);
                self.reply(delivery, Ok(payload));
            }
            Outcome::Fail(failure) | Outcome::FailedInBackground(failure) => self.fail(delivery, failure),
            Outcome::Again { counts } => {
                delivery.retries_left -= u16::from(counts);
                self.put_on_desk(delivery);
            }
            // Dropped, it is given back.
            Outcome::GiveBack => self.given_back(&delivery),
            Outcome::Finished => {
                self.elapsed.workflow(&delivery, handled.end);
                self.dropped_result(&delivery);
                delivery.done();
            }
            Outcome::Dropped => {
                self.metrics.late.inc();
                delivery.done();
            }
        }
    }

    /// Answers the client now; the workflow goes on. Returns whether somebody waited for it.
    ///
    /// An `answer` that could not be made of what the handler said is told as what it is.
    pub fn reply_early(&self, delivery: &Delivery, answer: Result<Payload, Failure>) -> bool {
        let step = delivery.step(self.node_of(delivery));
        let answer = answer.and_then(|payload| outcome::check_answer(&step, &payload).map(|()| payload));
        if let Err(failure) = &answer {
            tracing::error!(
                workflow = %delivery.request.route.workflow,
                node = %self.node_of(delivery),
                request = %delivery.request.id,
                "the early reply was refused: {failure}"
            );
        }
        if let Some(journey) = &delivery.request.journey {
            journey.replied_early();
        }
        if answer.is_ok() && !step.replied {
            delivery.request.trace.event(hop::EARLY_REPLY);
        }
        delivery.request.answer(answer, Trail { tracking: delivery.tracking.clone(), receipt: None })
    }

    fn handled(&self, delivery: &Delivery, handled: Handled, failed: bool) {
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

    /// Takes a delivery to its node, wherever that is.
    fn post(&self, mut delivery: Delivery) {
        delivery.retries_left = self.retries[delivery.node()];
        if let Err(refused) = self.broker.post(delivery) {
            let Refused { delivery, failure } = *refused;
            self.fail(delivery, failure);
        }
    }

    /// A delivery has come from elsewhere, for a node of this engine.
    pub fn receive(&self, mut delivery: Delivery) {
        delivery.retries_left = self.retries[delivery.node()];
        self.put_on_desk(delivery);
    }

    /// Puts a delivery on its node's desk here, unless nobody waits for it any more.
    fn put_on_desk(&self, delivery: Delivery) {
        hop::arrive(&delivery, self.node_of(&delivery));
        if let Err(delivery) = self.desks[delivery.node()].post(delivery) {
            self.down(delivery);
        }
    }

    /// A host left a desk that has no other: what waits there fails at once, unless the node has retries.
    pub fn clear(&self, node: usize) {
        for delivery in self.desks[node].clear() {
            self.down(delivery);
        }
    }

    /// Gives what waits for a node back to the broker, for other engines to take.
    pub fn give_back(&self, node: usize) {
        for delivery in self.desks[node].take_back() {
            if let Some(receipt) = delivery.handed_on() {
                receipt.release();
            }
        }
    }

    /// No process of a delivery's node is up here: where the broker keeps it, another engine may get it.
    fn down(&self, delivery: Delivery) {
        if delivery.receipt.is_some() {
            return;
        }
        let failure = Failure::Down { node: self.node_of(&delivery).clone() };
        self.fail(delivery, failure);
    }

    fn reply(&self, mut delivery: Delivery, answer: Answer) {
        let trail =
            Trail { tracking: std::mem::take(&mut delivery.tracking), receipt: delivery.receipt.take() };
        if !delivery.request.answer(answer, trail) {
            self.metrics.late.inc();
        }
    }

    /// A delivery's work is given up.
    pub fn fail(&self, mut delivery: Delivery, failure: Failure) {
        delivery.request.trace.leave(|| hop::failure(&failure));
        if !delivery.request.replied() {
            return self.reply(delivery, Err(failure));
        }
        self.failed_in_background(&delivery, &failure);
        if let Some(receipt) = delivery.receipt.take() {
            self.give_up(receipt, &failure.to_string());
        }
    }

    /// The answer of a request of this door came from elsewhere.
    pub fn reply_from_elsewhere(&self, request: &Request, answer: Answer) {
        if !request.answer(answer, Trail::default()) {
            self.metrics.late.inc();
        }
    }

    /// A message whose client has its answer is lost between two engines.
    pub fn lost_in_background(&self, workflow: &str, node: &str, request: &str, failure: &Failure) {
        self.metrics.failed_in_background.inc();
        tracing::error!(workflow, node, request, "the workflow failed after its early reply: {failure}");
    }

    /// A message is kept apart, with the reason.
    pub fn give_up(&self, receipt: Receipt, reason: &str) {
        self.metrics.broker.dead.inc();
        receipt.dead(reason);
    }

    fn given_back(&self, delivery: &Delivery) {
        tracing::warn!(
            workflow = %delivery.request.route.workflow,
            node = %self.node_of(delivery),
            request = %delivery.request.id,
            "its process died: the message is given back, and given out again"
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
            "the workflow failed after its early reply: {failure}"
        );
    }

    fn node_of(&self, delivery: &Delivery) -> &krt_model::name::Name {
        self.desks[delivery.node()].node()
    }

    /// Nobody waits for a request any more: its work is stopped wherever it is.
    pub fn stop(&self, request: &Request) {
        request.leave();
        self.broker.cancel(request);
        request.trace.give_up();
        for &node in &request.route.sequence {
            self.desks[node].cancel(request);
        }
    }
}

/// A client that waits. Dropped before the answer came, it has left.
struct Waiting<'a> {
    flow: &'a Flow,
    request: Arc<Request>,
    begun: Instant,
    ended: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let workflow = self.request.route.index;
            self.flow.metrics.request(workflow, Ending::Left, self.begun.elapsed());
            self.request.end(End::Left);
        }
        if !self.request.replied() {
            self.flow.stop(&self.request);
        }
    }
}

/// The present moment by the system's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
