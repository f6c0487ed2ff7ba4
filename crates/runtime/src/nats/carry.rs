//! Deliveries and answers as messages: what the envelope says, and what stands beside it.

use super::Nats;
use crate::flow::{Answer, Deadline, Delivery, Origin, ReplyTo, Request, now};
use krt_broker::{Envelope, Era, Headers, Message, envelope};
use krt_model::{
    message::{Timestamp, Tracking},
    name::Name,
};
use std::time::{Duration, Instant};

/// The message that takes a delivery to its node.
pub(super) fn delivery(nats: &Nats, delivery: &Delivery) -> Message {
    let request = &delivery.request;
    let era = nats.options.era;
    let to = reply_to(nats, request);
    let station = &nats.stations[request.route.index][delivery.position];
    let envelope = Envelope {
        tracking_id: request.id.to_string(),
        tracking: stations(&delivery.tracking),
        reply: to.reply.clone(),
        payload: Some(delivery.payload.clone()),
        replied: request.replied(),
        ..Envelope::default()
    };
    Message {
        subject: station.input(era).to_owned(),
        reply: nobody_inbox(nats, delivery, &to),
        headers: Headers {
            deadline: request.deadline.map(timestamp),
            message_id: (era == Era::JetStream).then(|| format!("{}.{}", request.id, delivery.position)),
            nobody: to.nobody,
            reply: to.inbox,
            trace: request.trace.context().map(|context| context.headers().collect()).unwrap_or_default(),
            ..Headers::default()
        },
        body: encode(nats, &envelope),
    }
}

/// The message that takes an answer to an entrypoint elsewhere.
pub(super) fn answer(
    nats: &Nats,
    workflow: usize,
    id: &str,
    to: &ReplyTo,
    answer: &Answer,
    tracking: &[Tracking],
) -> Message {
    let era = nats.options.era;
    let mut envelope = Envelope {
        tracking_id: id.to_owned(),
        tracking: stations(tracking),
        reply: to.reply.clone(),
        ..Envelope::default()
    };
    let mut headers = Headers::default();
    match answer {
        Ok(payload) => envelope.payload = Some(payload.clone()),
        Err(failure) => {
            envelope.error = failure.to_string();
            headers.failure = Some(failure.kind());
        }
    }
    let subject = match (era, &to.inbox) {
        (Era::Core, _) => to.reply.clone(),
        (Era::JetStream, Some(inbox)) => inbox.clone(),
        (Era::JetStream, None) => nats.answers_subject(workflow),
    };
    Message { subject, reply: None, headers, body: encode(nats, &envelope) }
}

/// A message between parts of ours.
pub(super) fn aside(subject: &str, body: Vec<u8>) -> Message {
    Message { subject: subject.to_owned(), reply: None, headers: Headers::default(), body: body.into() }
}

/// Who sent the message that a request's tracking ends with.
pub(super) fn sender_name(tracking: &[Tracking]) -> String {
    tracking.last().map_or(Tracking::ENTRYPOINT, Tracking::name).to_owned()
}

/// Where the answer of a request is waited for.
fn reply_to(nats: &Nats, request: &Request) -> ReplyTo {
    match &request.origin {
        Origin::Elsewhere(to) => to.clone(),
        Origin::Here => {
            let inbox = nats.waiting.inbox(&request.id);
            match nats.options.era {
                Era::Core => ReplyTo { reply: inbox, ..ReplyTo::default() },
                Era::JetStream => {
                    ReplyTo { reply: request.id.to_string(), inbox: Some(inbox), nobody: false }
                }
            }
        }
    }
}

/// Where the server says that nobody takes the message.
///
/// First era only, and not where a runner of another kind listens: that one would answer there. For the
/// first node it is the inbox of the answer, as runners expect.
fn nobody_inbox(nats: &Nats, delivery: &Delivery, to: &ReplyTo) -> Option<String> {
    if nats.options.era == Era::JetStream {
        return None;
    }
    if delivery.position == 0 {
        return Some(to.reply.clone());
    }
    let about = super::waiting::Nobody {
        replied: delivery.request.replied(),
        workflow: delivery.request.route.index,
        position: delivery.position,
        request: &delivery.request.id,
        reply: &to.reply,
    };
    (!nats.nodes[delivery.node()].external).then(|| nats.waiting.nobody_inbox(&about))
}

fn encode(nats: &Nats, envelope: &Envelope) -> bytes::Bytes {
    envelope.encode(nats.options.compression, nats.limit())
}

fn stations(tracking: &[Tracking]) -> Vec<envelope::Station> {
    let station = |tracking: &Tracking| envelope::Station {
        node_name: tracking.name().to_owned(),
        start: Some(tracking.start),
        end: Some(tracking.end),
    };
    tracking.iter().map(station).collect()
}

/// The stations that an envelope names; times that it does not name are `arrived`.
pub(super) fn tracking(stations: Vec<envelope::Station>, arrived: Timestamp) -> Vec<Tracking> {
    let tracking = |station: envelope::Station| Tracking {
        node: Name::parse(&station.node_name).ok().filter(|name| name.as_str() != Tracking::ENTRYPOINT),
        start: station.start.unwrap_or(arrived),
        end: station.end.unwrap_or(arrived),
    };
    let mut tracking: Vec<_> = stations.into_iter().map(tracking).collect();
    if tracking.is_empty() {
        tracking.push(Tracking { node: None, start: arrived, end: arrived });
    }
    tracking
}

/// A deadline by the clock that all machines share, more or less.
fn timestamp(deadline: Deadline) -> Timestamp {
    let left = deadline.at.saturating_duration_since(Instant::now());
    Timestamp(now().0.saturating_add(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)))
}

/// How far the clocks of two machines may be apart, before work that is waited for is given up.
const SKEW: Duration = Duration::from_secs(5);

/// A deadline that another machine has set; `None` where it is past.
pub(super) fn deadline(at: Timestamp) -> Option<Deadline> {
    let left = Duration::from_nanos(at.0.saturating_sub(now().0)) + SKEW;
    let past = Duration::from_nanos(now().0.saturating_sub(at.0));
    let left = left.checked_sub(past).filter(|left| !left.is_zero())?;
    Some(Deadline::after(left))
}
