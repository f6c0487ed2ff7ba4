//! Deliveries and answers as NATS messages: the envelope, and the headers beside it.

use super::{
    Nats,
    remote::{RemoteReply, ReplyTo},
};
use crate::{
    envelopes,
    flow::{Deadline, Delivery, Request, now},
    memory::{Full, Reservation},
};
use krt_broker::{Envelope, Headers, Message, WireProtocol, envelope};
use krt_model::{
    hint,
    message::{Payload, Timestamp, Tracking},
    name::Name,
    outcome::Failure,
};
use std::time::{Duration, Instant};

/// Builds the message that carries a delivery to its node.
pub(super) fn delivery(nats: &Nats, delivery: &Delivery) -> Result<Message, Full> {
    let request = &delivery.request;
    let protocol = nats.options.protocol;
    let to = reply_to(nats, request);
    let stage = &nats.stages[request.route.index][delivery.position];
    let envelope = Envelope {
        tracking_id: request.id.to_string(),
        tracking: stages(&delivery.tracking),
        reply: to.reply.clone(),
        payload: Some(delivery.payload.clone()),
        replied: request.replied(),
        ..Envelope::default()
    };
    Ok(Message {
        subject: stage.input(protocol).to_owned(),
        reply: no_responders_inbox(nats, delivery, &to),
        headers: Headers {
            deadline: request.deadline.map(timestamp),
            message_id: (protocol == WireProtocol::JetStream)
                .then(|| format!("{}.{}", request.id, delivery.position)),
            no_client: to.no_client,
            reply: to.inbox,
            trace: request.trace.context().map(|context| context.headers().collect()).unwrap_or_default(),
            ..Headers::default()
        },
        body: write(nats, &envelope, request.reserve())?,
    })
}

/// Builds the message that carries an answer to a remote entrypoint.
pub(super) fn answer(
    nats: &Nats,
    workflow: usize,
    id: &str,
    to: &ReplyTo,
    answer: Result<Option<Payload>, Failure>,
    tracking: &[Tracking],
) -> Result<Message, Full> {
    let protocol = nats.options.protocol;
    let mut envelope = Envelope {
        tracking_id: id.to_owned(),
        tracking: stages(tracking),
        reply: to.reply.clone(),
        ..Envelope::default()
    };
    let mut headers = Headers::default();
    match answer {
        Ok(message) => envelope.payload = message,
        Err(failure) => {
            envelope.error = hint::line(&failure);
            headers.failure = Some(failure.kind());
        }
    }
    let subject = match (protocol, &to.inbox) {
        (WireProtocol::Core, _) => to.reply.clone(),
        (WireProtocol::JetStream, Some(inbox)) => inbox.clone(),
        (WireProtocol::JetStream, None) => nats.answers_subject(workflow),
    };
    let body = write(nats, &envelope, nats.memory().reserve())?;
    Ok(Message { subject, reply: None, headers, body })
}

/// Builds a message between krt's own engines.
pub(super) fn engine_message(subject: &str, body: Vec<u8>) -> Message {
    Message { subject: subject.to_owned(), reply: None, headers: Headers::default(), body: body.into() }
}

/// Returns the sender of the message at the end of a request's tracking.
pub(super) fn sender_name(tracking: &[Tracking]) -> String {
    tracking.last().map_or(Tracking::ENTRYPOINT, Tracking::name).to_owned()
}

/// Returns the reply address of a request.
fn reply_to(nats: &Nats, request: &Request) -> ReplyTo {
    if let Some(to) = RemoteReply::address(request) {
        return to.clone();
    }
    let inbox = nats.replies.inbox(&request.id);
    match nats.options.protocol {
        WireProtocol::Core => ReplyTo { reply: inbox, ..ReplyTo::default() },
        WireProtocol::JetStream => {
            ReplyTo { reply: request.id.to_string(), inbox: Some(inbox), no_client: false }
        }
    }
}

/// Returns the inbox for the server's report that a message has no receiver.
///
/// Core NATS only, and not for a node with another runner, which would send its answer there. For the first
/// node it is the inbox of the answer, as runners expect.
fn no_responders_inbox(nats: &Nats, delivery: &Delivery, to: &ReplyTo) -> Option<String> {
    if nats.options.protocol == WireProtocol::JetStream {
        return None;
    }
    if delivery.position == 0 {
        return Some(to.reply.clone());
    }
    let about = super::replies::NoResponders {
        replied: delivery.request.replied(),
        workflow: delivery.request.route.index,
        position: delivery.position,
        request: &delivery.request.id,
        reply: &to.reply,
    };
    (!nats.nodes[delivery.node()].external).then(|| nats.replies.no_responders_inbox(&about))
}

fn write(nats: &Nats, envelope: &Envelope, reservation: Reservation) -> Result<bytes::Bytes, Full> {
    envelopes::write(envelope, nats.options.compression, nats.limit(), reservation)
}

fn stages(tracking: &[Tracking]) -> Vec<envelope::Stage> {
    let stage = |tracking: &Tracking| envelope::Stage {
        node_name: tracking.name().to_owned(),
        start: Some(tracking.start),
        end: Some(tracking.end),
    };
    tracking.iter().map(stage).collect()
}

/// Converts the stages of an envelope; missing times become `arrived`.
pub(super) fn tracking(stages: Vec<envelope::Stage>, arrived: Timestamp) -> Vec<Tracking> {
    let tracking = |stage: envelope::Stage| Tracking {
        node: Name::parse(&stage.node_name).ok().filter(|name| name.as_str() != Tracking::ENTRYPOINT),
        start: stage.start.unwrap_or(arrived),
        end: stage.end.unwrap_or(arrived),
    };
    let mut tracking: Vec<_> = stages.into_iter().map(tracking).collect();
    if tracking.is_empty() {
        tracking.push(Tracking { node: None, start: arrived, end: arrived });
    }
    tracking
}

/// Converts a deadline to wall-clock time, which other machines roughly share.
fn timestamp(deadline: Deadline) -> Timestamp {
    let left = deadline.at.saturating_duration_since(Instant::now());
    Timestamp(now().0.saturating_add(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)))
}

/// How far the clocks of two machines may differ before work is wrongly given up.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Converts a deadline set by another machine; `None` if it has passed.
pub(super) fn deadline(at: Timestamp) -> Option<Deadline> {
    let left = Duration::from_nanos(at.0.saturating_sub(now().0)) + MAX_CLOCK_SKEW;
    let past = Duration::from_nanos(now().0.saturating_sub(at.0));
    let left = left.checked_sub(past).filter(|left| !left.is_zero())?;
    Some(Deadline::after(left))
}
