//! Deliveries and answers as NATS messages: the envelope, and the headers beside it.

use super::{
    Nats,
    no_responders::NoResponders,
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
    request::{Hop, HopChain, HopEnding},
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
            deadline: request.deadline.map(|deadline| deadline.wall_clock),
            message_id: (protocol == WireProtocol::JetStream)
                .then(|| format!("{}.{}", request.id, delivery.position)),
            no_client: to.no_client,
            reply: to.inbox,
            // Nobody takes the calls of handlers after the answer.
            hops: if request.replied() { HopChain::default() } else { request.hops() },
            metadata: request.metadata.clone(),
            priority: request.priority,
            sequence: RemoteReply::sequence(request),
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
    hops: &HopChain,
) -> Result<Message, Full> {
    let protocol = nats.options.protocol;
    let mut envelope = Envelope {
        tracking_id: id.to_owned(),
        tracking: stages(tracking),
        reply: to.reply.clone(),
        ..Envelope::default()
    };
    let mut headers = Headers { hops: hops.clone(), ..Headers::default() };
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

/// Builds the message that carries a message of a streamed answer. `credit`: the inbox for its credit.
pub(super) fn part(
    nats: &Nats,
    id: &str,
    to: &ReplyTo,
    credit: String,
    number: u64,
    payload: Payload,
) -> Result<Message, Full> {
    let envelope = Envelope {
        tracking_id: id.to_owned(),
        reply: to.reply.clone(),
        payload: Some(payload),
        ..Envelope::default()
    };
    Ok(Message {
        subject: to.inbox.as_ref().unwrap_or(&to.reply).clone(),
        reply: Some(credit),
        headers: Headers { sequence: Some(number), ..Headers::default() },
        body: write(nats, &envelope, nats.memory().reserve())?,
    })
}

/// Builds the message that carries calls of handlers to a remote entrypoint, instead of an answer.
pub(super) fn hops(inbox: &str, hops: HopChain) -> Message {
    let headers = Headers { hops, ..Headers::default() };
    Message { headers, ..engine_message(inbox, Vec::new()) }
}

/// Returns the message without the calls of handlers if they make it larger than `limit`: the dashboard can do
/// without them, and the request cannot do without the message. Returns its size, too.
pub(super) fn within(mut message: Message, limit: usize) -> (Message, usize) {
    let size = message.size();
    if size <= limit || message.headers.hops.is_empty() {
        return (message, size);
    }
    message.headers.hops = HopChain::default();
    let size = message.size();
    (message, size)
}

/// Adds the stages that no call describes: runners of KRT v1 write their times into the envelope, and pass on no
/// headers.
pub(super) fn fill(hops: &mut HopChain, request: &Request, stages: &[envelope::Stage]) {
    if hops.left_out() > 0 {
        return;
    }
    let nodes = request.route.sequence.len();
    let passed = tracking(stages.iter().take(nodes + 1).cloned().collect(), request.start);
    for (position, (previous, stage)) in passed.iter().zip(passed.iter().skip(1)).enumerate() {
        let Some(node) = stage.node.clone() else { continue };
        let is_here = |hop: &Hop| hop.position == position && hop.ending == HopEnding::Returned;
        if !hops.hops().iter().any(is_here) {
            hops.push(Hop {
                node,
                position,
                posted: request.after(previous.end),
                start: request.after(stage.start),
                end: request.after(stage.end),
                encode: 0,
                decode: 0,
                ending: HopEnding::Returned,
            });
        }
    }
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
    let about = NoResponders {
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

/// How far the clocks of two machines may differ before work is wrongly given up.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Converts a deadline set by another machine, whose clock is roughly the same; `None` if it has passed.
pub(super) fn deadline(at: Timestamp) -> Option<Deadline> {
    let left = Duration::from_nanos(at.0.saturating_sub(now().0)) + MAX_CLOCK_SKEW;
    let past = Duration::from_nanos(now().0.saturating_sub(at.0));
    let left = left.checked_sub(past).filter(|left| !left.is_zero())?;
    Some(Deadline { at: Instant::now() + left, within: left, wall_clock: at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flow::{Admission, AnswerMessage, AnswerMeta, Limits, RemoteRequest, ReplySink, Route},
        traces::Trace,
    };
    use krt_model::{metadata::Metadata, priority::Priority};
    use std::sync::Arc;

    #[derive(Debug)]
    struct NoClient;

    impl ReplySink for NoClient {
        fn message(&self, _: AnswerMessage) {}

        fn end(&self, _: Result<(), Failure>, _: AnswerMeta) -> bool {
            false
        }
    }

    /// A request through three nodes, received at 1 ms.
    fn request() -> Arc<Request> {
        let route = Route {
            workflow: Name::parse("flow").unwrap(),
            index: 0,
            sequence: vec![0, 1, 2],
            answer_type: String::new(),
            answer_limit: 1,
            streams: false,
            priority: false,
        };
        let admission = Arc::new(Admission::new(Limits::default()));
        admission.open();
        let from = RemoteRequest {
            id: None,
            start: Timestamp(1_000_000),
            deadline: None,
            trace: Trace::default(),
            metadata: Metadata::default(),
            priority: Priority::default(),
            reply: Box::new(NoClient),
            hops: HopChain::default(),
            replied: false,
        };
        Request::remote(from, Arc::new(route), admission.enter(0).unwrap())
    }

    fn stage(node: &str, start: u64, end: u64) -> envelope::Stage {
        let timestamp = |micros: u64| Some(Timestamp(micros * 1000));
        envelope::Stage { node_name: node.to_owned(), start: timestamp(start), end: timestamp(end) }
    }

    fn hop(node: &str, position: usize, times: [i64; 3], ending: HopEnding) -> Hop {
        let [posted, start, end] = times;
        let node = Name::parse(node).unwrap();
        Hop { node, position, posted, start, end, encode: 0, decode: 0, ending }
    }

    #[test]
    fn a_deadline_passes_through_engines_unchanged() {
        let at = Timestamp(now().0 + 60_000_000_000);
        let here = deadline(at).unwrap();
        assert_eq!(here.wall_clock, at);
        assert!(here.within > Duration::from_secs(60), "{here:?}");
        let past = Timestamp(now().0 - 6_000_000_000);
        assert!(deadline(past).is_none());
    }

    #[test]
    fn the_envelope_fills_gaps_between_calls() {
        let stages = [
            stage(Tracking::ENTRYPOINT, 1000, 1001),
            stage("one", 1010, 1020),
            stage("two", 1030, 1050),
            stage("three", 1060, 1090),
            stage("four", 1090, 1091),
        ];
        let known = hop("two", 1, [20_500, 30_000, 50_000], HopEnding::Returned);
        let died = hop("three", 2, [51_000, 52_000, 53_000], HopEnding::Died);
        let mut hops = HopChain::default();
        hops.push(known.clone());
        hops.push(died.clone());
        fill(&mut hops, &request(), &stages);
        let one = hop("one", 0, [1_000, 10_000, 20_000], HopEnding::Returned);
        let three = hop("three", 2, [50_000, 60_000, 90_000], HopEnding::Returned);
        assert_eq!(hops.hops(), [known, died, one, three], "a workflow of three nodes has no fourth one");

        let mut counted = HopChain::default();
        counted.leave_out(3);
        fill(&mut counted, &request(), &stages);
        assert_eq!(counted.hops(), [], "they may be those that were left out");
    }
}
