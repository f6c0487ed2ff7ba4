//! Takes messages for a node of this engine, from any ingress or node.

use super::{
    Nats, encode,
    remote::{RemoteReply, ReplyTo},
};
use crate::{
    envelopes,
    flow::{
        self, AnswerMeta, Delivery, DeliveryEnd, Flow, Permit, RemoteRequest, ReplySink as _, Request, Route,
        no_memory, now,
    },
    memory::Full,
    traces::TraceContext,
};
use krt_broker::{Acker, Error, Incoming, Intake, WireProtocol, subject::is_inbox};
use krt_model::{
    hint,
    message::Payload,
    name::Name,
    outcome::{Failure, Kind},
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Wait before pulling again after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Messages taken for a node beyond the places in its workers. JetStream only.
const PREFETCH: usize = 8;

/// Takes the messages of one stage.
pub(super) struct StageConsumer {
    nats: Arc<Nats>,
    flow: Arc<Flow>,
    route: Arc<Route>,
    position: usize,
    node: usize,
}

impl StageConsumer {
    pub(super) fn new(nats: Arc<Nats>, flow: Arc<Flow>, route: Arc<Route>, position: usize) -> Self {
        let node = route.sequence[position];
        Self { nats, flow, route, position, node }
    }

    /// Starts to receive messages: subscribes, or pulls from now on.
    pub(super) async fn open(&self) -> Result<Intake, Error> {
        let Nats { connection, sender, options, stages, nodes, .. } = &*self.nats;
        let stage = Arc::clone(&stages[self.route.index][self.position]);
        let room = nodes[self.node].places + PREFETCH;
        Intake::open(connection, sender, options.protocol, stage, room, options.stream).await
    }

    /// Takes messages while a worker of the node is up, until `closing`, and finishes those taken.
    pub(super) async fn run(self, intake: Intake, closing: CancellationToken) {
        let mut changed = self.flow.watch_nodes();
        let mut intake = Some(intake);
        while !closing.is_cancelled() {
            match intake.take() {
                Some(open) => self.take_all(open, &closing).await,
                None if self.flow.queue(self.node).takes() => {
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
                tracing::error!(node = %self.node(), "it gets no messages from NATS, trying again: {}", hint::chain(&error));
                tokio::select! {
                    () = closing.cancelled() => {}
                    () = tokio::time::sleep(RETRY_DELAY) => {}
                }
                None
            }
        }
    }

    /// Takes messages until `closing`, or until no worker of the node is up.
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
                _ = changed.changed(), if open => if !self.flow.queue(self.node).takes() {
                    open = false;
                    intake.close().await;
                },
            }
        }
    }

    /// Puts a message on the node's queue, or answers with an error.
    fn take(&self, incoming: Incoming) {
        let Incoming { reply, headers, body, acker } = incoming;
        let memory = self.nats.memory().reserve();
        let envelope = match envelopes::read(body, self.nats.options.envelope(), memory) {
            Ok(envelope) => envelope,
            Err(envelopes::Error::Full(full)) => return self.not_read(full, reply, acker.is_some()),
            Err(error) => return self.unreadable(&error.to_string(), reply, acker),
        };
        let beside = envelope.size_beside() + size_of_val(headers.hops.hops()) + headers.metadata.size();
        let to = ReplyTo {
            reply: first_of(envelope.reply, reply),
            inbox: headers.reply,
            no_client: headers.no_client,
        };
        if let Some(elsewhere) = self.no_inbox(&to) {
            let message = format!("its answer would go to `{elsewhere}`, which is not an inbox");
            return self.unreadable(&message, None, acker);
        }
        if self.route.streams && headers.sequence.is_none() && !to.no_client {
            let message = "the answer is a stream, which the sender does not know";
            return self.unreadable(message, Some(to.reply), acker);
        }
        let first_try = acker.as_ref().is_none_or(|acker| acker.tries() <= 1);
        if !first_try {
            self.flow.metrics().broker.redelivered.inc();
        }
        let deadline = headers.deadline.filter(|_| first_try && !envelope.replied).map(encode::deadline);
        let expired = matches!(deadline, Some(None));
        if !to.no_client
            && !envelope.replied
            && (expired || self.nats.cancelled.contains(&envelope.tracking_id))
        {
            return self.drop_abandoned(&envelope.tracking_id, acker);
        }
        let permit = match self.enter(beside) {
            Ok(permit) => permit,
            // With an acker, the message returns to the broker and is redelivered.
            Err(failure) if acker.is_none() && !envelope.replied => {
                let meta = AnswerMeta { hops: headers.hops, ..AnswerMeta::default() };
                return self.refuse(Some(envelope.tracking_id.into()), to, failure, meta);
            }
            Err(failure) => return self.no_room(&envelope.tracking_id, &failure),
        };
        let tracking = encode::tracking(envelope.tracking, now());
        let id: Option<Arc<str>> = Some(envelope.tracking_id).filter(|id| !id.is_empty()).map(Arc::from);
        let context = headers.trace.iter().map(|(name, value)| (*name, &**value));
        let trace = self.nats.traces.follow(TraceContext::of_headers(context), &self.route.workflow);
        let from = RemoteRequest {
            id: id.clone(),
            start: tracking[0].start,
            deadline: deadline.flatten(),
            trace,
            metadata: headers.metadata,
            priority: headers.priority,
            reply: Box::new(self.reply(id, to, headers.sequence)),
            hops: headers.hops,
            replied: envelope.replied,
        };
        let request = Request::remote(from, Arc::clone(&self.route), permit);
        self.nats.cancelled.watch(&request);
        let payload = envelope.payload.unwrap_or_else(|| Payload::pack("", &[]));
        let mut delivery = Delivery::new(request, self.position, payload, tracking);
        match acker {
            Some(acker) if acker.is_exhausted() => self.give_up(delivery, acker),
            acker => {
                delivery.acker = acker.map(|acker| -> flow::Acker { acker });
                self.flow.receive(delivery);
            }
        }
    }

    /// Admits a message with so many bytes besides its payload, which has been counted since it was read.
    fn enter(&self, beside: usize) -> Result<Permit, Failure> {
        let mut permit = self.nats.work.enter(0)?;
        permit.hold(beside)?;
        Ok(permit)
    }

    /// `sequence`: how many messages of the answer have been sent, if it is a stream.
    fn reply(&self, id: Option<Arc<str>>, to: ReplyTo, sequence: Option<u64>) -> RemoteReply {
        let request = id.clone().filter(|_| self.route.streams && !to.no_client);
        let stream = request.zip(sequence);
        let stream = stream.map(|(id, sent)| self.nats.streams.open(id, self.node().clone(), sent));
        RemoteReply::new(&self.nats, &self.flow, self.route.index, id, to, stream)
    }

    /// Answers a request that gets no further than here.
    fn refuse(&self, id: Option<Arc<str>>, to: ReplyTo, failure: Failure, meta: AnswerMeta) {
        self.reply(id, to, None).end(Err(failure), meta);
    }

    fn node(&self) -> &Name {
        self.flow.queue(self.node).node()
    }

    /// Handles an unreadable message. It names no request, but its sender may wait for a reply.
    fn unreadable(&self, reason: &str, reply: Option<String>, acker: Option<Box<Acker>>) {
        let message = format!("a message for node '{}' cannot be read: {reason}", self.node());
        tracing::error!(node = %self.node(), "{message}");
        if let Some(acker) = acker {
            self.flow.give_up(acker, &message);
        } else if let Some(reply) = reply.filter(|reply| is_inbox(reply)) {
            let failure = Failure::Remote { kind: Kind::Lost, message };
            self.refuse(None, ReplyTo { reply, ..ReplyTo::default() }, failure, AnswerMeta::default());
        }
    }

    /// Returns the reply subject if it is not an inbox. In JetStream `reply` is the request's id.
    fn no_inbox<'a>(&self, to: &'a ReplyTo) -> Option<&'a str> {
        let subject = match self.nats.options.protocol {
            WireProtocol::Core => Some(&to.reply).filter(|reply| !reply.is_empty()),
            WireProtocol::JetStream => to.inbox.as_ref(),
        };
        subject.map(String::as_str).filter(|subject| !is_inbox(subject))
    }

    fn drop_abandoned(&self, request: &str, acker: Option<Box<Acker>>) {
        tracing::debug!(node = %self.node(), request, "not handled: the request was cancelled");
        self.flow.metrics().late.inc();
        if let Some(acker) = acker {
            acker.ack();
        }
    }

    /// Handles a message not read for lack of memory. With an acker it returns to the broker and is
    /// redelivered.
    fn not_read(&self, full: Full, reply: Option<String>, given_back: bool) {
        let failure = no_memory(full);
        match reply.filter(|reply| is_inbox(reply)) {
            Some(reply) if !given_back => {
                self.refuse(None, ReplyTo { reply, ..ReplyTo::default() }, failure, AnswerMeta::default());
            }
            _ => self.no_room("", &failure),
        }
    }

    fn no_room(&self, request: &str, failure: &Failure) {
        match self.nats.options.protocol {
            WireProtocol::JetStream => {
                tracing::debug!(node = %self.node(), request, "given back: {}", hint::line(failure));
            }
            WireProtocol::Core => {
                let workflow = self.route.workflow.as_str();
                self.flow.lost_in_background(workflow, self.node().as_str(), request, failure);
            }
        }
    }

    /// Dead-letters a message that was delivered too often: each receiver ended before it was done.
    fn give_up(&self, delivery: Delivery, acker: Box<Acker>) {
        let tries = acker.tries() - 1;
        let how = format!("it was delivered {tries} times and never finished");
        let failure = Failure::Died { node: self.node().clone(), how };
        let message = hint::line(&failure);
        tracing::error!(node = %self.node(), request = %delivery.request.id, "given up: {message}");
        delivery.request.answer(Err(failure), AnswerMeta::default());
        delivery.close(DeliveryEnd::Done);
        self.flow.give_up(acker, &message);
    }
}

/// Returns the reply address of the envelope, or of the message, as a core NATS entrypoint sets only that.
fn first_of(envelope: String, message: Option<String>) -> String {
    if envelope.is_empty() { message.unwrap_or_default() } else { envelope }
}
