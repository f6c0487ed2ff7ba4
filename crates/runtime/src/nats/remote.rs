//! Requests of other ingresses: where their answers go, and how their messages are acknowledged.

use super::{Nats, streams::Outgoing};
use crate::flow::{self, Acknowledge, AnswerMessage, AnswerMeta, Flow, ReplySink, Request};
use krt_broker::Acker;
use krt_model::{hint, message::Payload, outcome::Failure};
use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Where a remote entrypoint waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ReplyTo {
    /// The envelope's reply field: an inbox, or with JetStream the request's id.
    pub(super) reply: String,
    /// The inbox of a krt entrypoint. JetStream only.
    pub(super) inbox: Option<String>,
    /// True if no client waits: the message was dead-lettered and is being retried.
    pub(super) no_client: bool,
}

/// Sends an answer to the remote entrypoint of its request.
pub(super) struct RemoteReply {
    nats: Arc<Nats>,
    /// Gives up a message without a client; `None` if one waits. The flow's queues hold the request.
    flow: Option<Weak<Flow>>,
    workflow: usize,
    /// The request's id, if its message had one.
    id: Option<Arc<str>>,
    to: ReplyTo,
    /// The message, until the end: both go in one envelope.
    message: Mutex<Option<Payload>>,
    /// The answer, if it is a stream and a client waits for it.
    stream: Option<Arc<Outgoing>>,
}

impl RemoteReply {
    pub(super) fn new(
        nats: &Arc<Nats>,
        flow: &Arc<Flow>,
        workflow: usize,
        id: Option<Arc<str>>,
        to: ReplyTo,
        stream: Option<Arc<Outgoing>>,
    ) -> Self {
        let flow = to.no_client.then(|| Arc::downgrade(flow));
        Self { nats: Arc::clone(nats), flow, workflow, id, to, message: Mutex::default(), stream }
    }

    /// Returns the reply address of a request; `None` if it was received at this ingress.
    pub(super) fn address(request: &Request) -> Option<&ReplyTo> {
        Self::of(request).map(|reply| &reply.to)
    }

    /// Returns how many messages of a streamed answer have been sent, for the request's next node; `None` for other
    /// answers.
    pub(super) fn sequence(request: &Request) -> Option<u64> {
        match Self::of(request) {
            Some(reply) => reply.stream.as_ref().map(|stream| stream.sent()),
            None => request.route.streams.then_some(0),
        }
    }

    fn of(request: &Request) -> Option<&Self> {
        let sink: &dyn Any = request.remote_reply()?;
        Some(sink.downcast_ref().expect("nats alone receives requests from elsewhere"))
    }
}

impl ReplySink for RemoteReply {
    fn message(&self, message: AnswerMessage) {
        if let Some(stream) = &self.stream {
            return self.nats.send_part(self.workflow, &self.to, stream, message);
        }
        *self.message.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.payload);
    }

    fn end(&self, status: Result<(), Failure>, meta: AnswerMeta) -> bool {
        match (&self.flow, &self.stream) {
            (Some(flow), _) => end_without_client(flow, status, meta),
            (None, Some(stream)) => self.nats.end_stream(self.workflow, &self.to, stream, status, meta),
            (None, None) => {
                let message = self.message.lock().unwrap_or_else(PoisonError::into_inner).take();
                let id = self.id.as_deref().unwrap_or_default();
                self.nats.answer(self.workflow, id, &self.to, status.map(|()| message), None, meta);
            }
        }
        true
    }
}

/// Ends a request without a client: its failure is dead-lettered.
fn end_without_client(flow: &Weak<Flow>, status: Result<(), Failure>, meta: AnswerMeta) {
    match (status, meta.acker, flow.upgrade()) {
        (Err(failure), Some(acker), Some(flow)) => flow.give_up(acker, &hint::line(&failure)),
        (Ok(()), Some(acker), _) => acker.ack(),
        // An acker that is dropped gives its message back.
        (Err(_), Some(_), None) | (_, None, _) => {}
    }
}

impl fmt::Debug for RemoteReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteReply").field(&self.to).finish()
    }
}

impl Acknowledge for Acker {
    fn is_redelivered(&self) -> bool {
        self.tries() > 1
    }

    fn redeliveries_left(&self) -> u16 {
        Self::redeliveries_left(self)
    }

    fn ack(self: Box<Self>) {
        Self::ack(*self);
    }

    fn nak(self: Box<Self>) {
        Self::nak(*self);
    }

    fn dead_letter(self: Box<Self>, reason: &str) {
        Self::dead_letter(self, reason);
    }
}

/// Returns the acker that a delivery got from its intake.
pub(super) fn of_intake(acker: flow::Acker) -> Box<Acker> {
    let acker: Box<dyn Any> = acker;
    acker.downcast().expect("nats alone receives messages with an acker")
}
