//! What a request's trace records about a message at a node.

use super::{Delivery, HandlerTimes, now};
use crate::traces::HopEnd;
use krt_model::{
    hint,
    name::Name,
    outcome::{Failure, Outcome},
};

/// Name of the event of an early reply.
pub(super) const EARLY_REPLY: &str = "early reply";

/// Records a message's arrival at a node; its waiting time starts at the end of the stage before.
pub(super) fn arrive(delivery: &Delivery, node: &Name) {
    let Some(previous) = delivery.tracking.last() else { return };
    delivery.request.trace.arrive(node, previous.end, delivery.payload.value().len());
}

/// Returns how the message left the node; `None` if another process of the node continues.
pub(super) fn hop_end(outcome: &Outcome, handled: HandlerTimes) -> Option<HopEnd> {
    let fault = match outcome {
        Outcome::Next(_) | Outcome::Answer(_) | Outcome::EndStream | Outcome::Finished => None,
        Outcome::Fail(failure) | Outcome::FailedInBackground(failure) => Some(hint::line(failure)),
        Outcome::Retry { counts: true } => Some("its process died: another one gets the message".to_owned()),
        Outcome::Redeliver => Some("its process died: the message is redelivered".to_owned()),
        Outcome::Retry { counts: false } => return None,
        Outcome::Dropped => Some("cancelled: the client left".to_owned()),
    };
    let HandlerTimes { start, end } = handled;
    // Equal times are the engine's own: no handler has reported any.
    Some(HopEnd { handled: (start < end).then_some((start, end)), end, fault })
}

/// Returns the hop_end of a message whose batch failed as a whole.
pub(super) fn split(handled: HandlerTimes) -> Option<HopEnd> {
    let HandlerTimes { start, end } = handled;
    let fault = Some("its batch failed as a whole: a part of it is handled again".to_owned());
    Some(HopEnd { handled: (start < end).then_some((start, end)), end, fault })
}

/// Returns the hop_end of a message that reached no handler.
pub(super) fn failure(failure: &Failure) -> Option<HopEnd> {
    Some(HopEnd { handled: None, end: now(), fault: Some(hint::line(failure)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::message::{Payload, Timestamp};

    #[test]
    fn hop_ends() {
        let (start, end) = (Timestamp(3), Timestamp(5));
        let (ran, not_run) = (HandlerTimes { start, end }, HandlerTimes { start: end, end });
        let payload = Payload::pack("t.M", b"");
        let ended =
            |handled, fault: Option<&str>| Some(HopEnd { handled, end, fault: fault.map(str::to_owned) });
        let times = Some((start, end));
        let rows = [
            (Outcome::Next(payload.clone()), ran, ended(times, None)),
            (Outcome::Answer(payload), ran, ended(times, None)),
            (Outcome::EndStream, ran, ended(times, None)),
            (Outcome::Finished, ran, ended(times, None)),
            (Outcome::Fail(Failure::Lost), ran, ended(times, Some("the request was lost inside the engine"))),
            (
                Outcome::FailedInBackground(Failure::Lost),
                not_run,
                ended(None, Some("the request was lost inside the engine")),
            ),
            (
                Outcome::Retry { counts: true },
                not_run,
                ended(None, Some("its process died: another one gets the message")),
            ),
            (Outcome::Redeliver, not_run, ended(None, Some("its process died: the message is redelivered"))),
            (Outcome::Retry { counts: false }, not_run, None),
            (Outcome::Dropped, ran, ended(times, Some("cancelled: the client left"))),
        ];
        for (outcome, handled, expected) in rows {
            assert_eq!(hop_end(&outcome, handled), expected, "{outcome:?}");
        }
        let half = Some("its batch failed as a whole: a part of it is handled again");
        assert_eq!((split(ran), split(not_run)), (ended(times, half), ended(None, half)));
        let unhandled = failure(&Failure::Lost).unwrap();
        assert_eq!((unhandled.handled, unhandled.fault), (None, Some(Failure::Lost.to_string())));
    }
}
