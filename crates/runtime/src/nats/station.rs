//! What comes for a node of this engine, from doors and nodes wherever they are.

use super::{Nats, carry};
use crate::{
    errors::chain,
    flow::{Delivery, Elsewhere, Flow, ReplyTo, Request, Respond, Route, Trail, now},
    traces::TraceContext,
};
use krt_broker::{Envelope, Era, Error, Incoming, Intake, Receipt, envelope};
use krt_model::{
    message::Payload,
    name::Name,
    outcome::{Failure, Kind},
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long to wait before messages are asked for again, when that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How many messages more than there are places in its hosts are taken for a node. Second era.
const AHEAD: usize = 8;

/// Takes the messages of one station.
pub(super) struct Taker {
    nats: Arc<Nats>,
    flow: Arc<Flow>,
    route: Arc<Route>,
    position: usize,
    node: usize,
}

impl Taker {
    pub(super) fn new(nats: Arc<Nats>, flow: Arc<Flow>, route: Arc<Route>, position: usize) -> Self {
        let node = route.sequence[position];
        Self { nats, flow, route, position, node }
    }

    /// Begins to take messages: from now on none is lost, or they are asked for.
    pub(super) async fn open(&self) -> Result<Intake, Error> {
        let Nats { connection, sender, options, stations, nodes, .. } = &*self.nats;
        let station = Arc::clone(&stations[self.route.index][self.position]);
        let room = nodes[self.node].places + AHEAD;
        Intake::open(connection, sender, options.era, station, room, options.stream).await
    }

    /// Takes messages while a host of the node is up, until told to stop and all that were taken are done.
    pub(super) async fn run(self, intake: Intake, closing: CancellationToken) {
        let mut changed = self.flow.watch_nodes();
        let mut intake = Some(intake);
        while !closing.is_cancelled() {
            match intake.take() {
                Some(open) => self.take_all(open, &closing).await,
                None if self.flow.desk(self.node).takes() => {
                    intake = self.open_again(&closing).await;
                }
                None => tokio::select! {
                    () = closing.cancelled() => return,
                    _ = changed.changed() => {}
                },
            }
        }
    }

    async fn open_again(&self, closing: &CancellationToken) -> Option<Intake> {
        match self.open().await {
            Ok(intake) => Some(intake),
            Err(error) => {
                tracing::error!(node = %self.node(), "it gets no messages from NATS, trying again: {}", chain(&error));
                tokio::select! {
                    () = closing.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
                None
            }
        }
    }

    /// Takes messages until told to stop, or until no host of the node is up.
    async fn take_all(&self, mut intake: Intake, closing: &CancellationToken) {
        let mut changed = self.flow.watch_nodes();
        let mut open = true;
        loop {
            tokio::select! {
                incoming = intake.next() => match incoming {
                    Some(incoming) => self.take(incoming),
                    None => return,
                },
                () = closing.cancelled(), if open => {
                    open = false;
                    intake.close().await;
                }
                _ = changed.changed(), if open => if !self.flow.desk(self.node).takes() {
                    open = false;
                    intake.close().await;
                },
            }
        }
    }

    /// Puts a message on the node's desk, or says why not.
    fn take(&self, incoming: Incoming) {
        let Incoming { reply, headers, body, receipt } = incoming;
        let size = body.len();
        let envelope = match Envelope::decode(body, self.nats.options.envelope()) {
            Ok(envelope) => envelope,
            Err(error) => return self.unreadable(&error, reply, receipt),
        };
        let to =
            ReplyTo { reply: first_of(envelope.reply, reply), inbox: headers.reply, nobody: headers.nobody };
        let first_try = receipt.as_ref().is_none_or(|receipt| receipt.tries() <= 1);
        if !first_try {
            self.flow.metrics().broker.redelivered.inc();
        }
        let deadline = headers.deadline.filter(|_| first_try && !envelope.replied).map(carry::deadline);
        let expired = matches!(deadline, Some(None));
        if !to.nobody && !envelope.replied && (expired || self.nats.cancelled.contains(&envelope.tracking_id))
        {
            return self.nobody_waits(&envelope.tracking_id, receipt);
        }
        let permit = match self.nats.work.enter(size) {
            Ok(permit) => permit,
            // With a receipt it is given back, and given out again.
            Err(failure) if receipt.is_none() && !envelope.replied => {
                return self.respond(&envelope.tracking_id, to)(Err(failure), Trail::default());
            }
            Err(failure) => return self.no_room(&envelope.tracking_id, &failure),
        };
        let tracking = carry::tracking(envelope.tracking, now());
        let id = Some(envelope.tracking_id).filter(|id| !id.is_empty());
        let respond =
            (!envelope.replied).then(|| self.respond(id.as_deref().unwrap_or_default(), to.clone()));
        let context = headers.trace.iter().map(|(name, value)| (*name, &**value));
        let trace = self.nats.traces.follow(TraceContext::of_headers(context), &self.route.workflow);
        let from =
            Elsewhere { id, to, start: tracking[0].start, deadline: deadline.flatten(), trace, respond };
        let request = Request::elsewhere(from, Arc::clone(&self.route), permit);
        self.nats.cancelled.watch(&request);
        let payload = envelope.payload.unwrap_or_else(|| Payload::pack("", &[]));
        let mut delivery = Delivery::new(request, self.position, payload, tracking);
        delivery.receipt = receipt;
        match delivery.receipt.take_if(|receipt| receipt.is_exhausted()) {
            Some(receipt) => self.give_up(&delivery, receipt),
            None => self.flow.receive(delivery),
        }
    }

    fn respond(&self, id: &str, to: ReplyTo) -> Respond {
        if to.nobody {
            return self.respond_to_nobody();
        }
        let (nats, workflow, id) = (Arc::clone(&self.nats), self.route.index, id.to_owned());
        Box::new(move |answer, trail| nats.answer(workflow, &id, &to, &answer, trail))
    }

    /// Nobody hears of a failure: it is kept.
    fn respond_to_nobody(&self) -> Respond {
        let flow = Arc::clone(&self.flow);
        Box::new(move |answer, trail| match (answer, trail.receipt) {
            (Err(failure), Some(receipt)) => flow.give_up(receipt, &failure.to_string()),
            (Ok(_), Some(receipt)) => receipt.done(),
            (_, None) => {}
        })
    }

    fn node(&self) -> &Name {
        self.flow.desk(self.node).node()
    }

    /// What cannot be read names no request; but whoever sent it may wait for an answer to the message.
    fn unreadable(&self, error: &envelope::Error, reply: Option<String>, receipt: Option<Receipt>) {
        let words = format!("a message for node '{}' cannot be read: {}", self.node(), chain(error));
        tracing::error!(node = %self.node(), "{words}");
        if let Some(receipt) = receipt {
            self.flow.give_up(receipt, &words);
        } else if let Some(reply) = reply {
            let failure = Failure::Elsewhere { kind: Kind::Lost, words };
            self.respond("", ReplyTo { reply, ..ReplyTo::default() })(Err(failure), Trail::default());
        }
    }

    fn nobody_waits(&self, request: &str, receipt: Option<Receipt>) {
        tracing::debug!(node = %self.node(), request, "nobody waits for it any more: it is not handled");
        self.flow.metrics().late.inc();
        if let Some(receipt) = receipt {
            receipt.done();
        }
    }

    fn no_room(&self, request: &str, failure: &Failure) {
        match self.nats.options.era {
            Era::JetStream => tracing::debug!(node = %self.node(), request, "given back: {failure}"),
            Era::Core => {
                let workflow = self.route.workflow.as_str();
                self.flow.lost_in_background(workflow, self.node().as_str(), request, failure);
            }
        }
    }

    /// Gives up a message that was given out too often: whoever had it came to its end.
    fn give_up(&self, delivery: &Delivery, receipt: Receipt) {
        let tries = receipt.tries() - 1;
        let how = format!("it was given out {tries} times, and never finished");
        let failure = Failure::Died { node: self.node().clone(), how };
        let words = failure.to_string();
        tracing::error!(node = %self.node(), request = %delivery.request.id, "given up: {words}");
        delivery.request.answer(Err(failure), Trail::default());
        self.flow.give_up(receipt, &words);
    }
}

/// The envelope names where the answer goes; what an entrypoint of the first era sends does not.
fn first_of(envelope: String, message: Option<String>) -> String {
    if envelope.is_empty() { message.unwrap_or_default() } else { envelope }
}
