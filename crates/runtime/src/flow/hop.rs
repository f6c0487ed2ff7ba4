//! What the trace of a request is told of a message's stay at a node.

use super::{Delivery, Handled, now};
use crate::traces::Departure;
use krt_model::{
    name::Name,
    outcome::{Failure, Outcome},
};

/// The event of an early reply.
pub(super) const EARLY_REPLY: &str = "early reply";

/// A message comes to a node. It has waited since the station before ended.
pub(super) fn arrive(delivery: &Delivery, node: &Name) {
    let Some(previous) = delivery.tracking.last() else { return };
    delivery.request.trace.arrive(node, previous.end, delivery.payload.value().len());
}

/// How its stay ended; `None` when it goes on, with another process.
pub(super) fn departure(outcome: &Outcome, handled: Handled) -> Option<Departure> {
    let fault = match outcome {
        Outcome::Next(_) | Outcome::Answer(_) | Outcome::Finished => None,
        Outcome::Fail(failure) | Outcome::FailedInBackground(failure) => Some(failure.to_string()),
        Outcome::Again { counts: true } => Some("its process died: another one gets the message".to_owned()),
        Outcome::GiveBack => Some("its process died: the message is given out again".to_owned()),
        Outcome::Again { counts: false } => return None,
        Outcome::Dropped => Some("cancelled: nobody waits for it any more".to_owned()),
    };
    let Handled { start, end } = handled;
    // Where no handler has said its times, the engine has set both to the same moment.
    Some(Departure { handled: (start < end).then_some((start, end)), end, fault })
}

/// It never came to a handler.
pub(super) fn failure(failure: &Failure) -> Option<Departure> {
    Some(Departure { handled: None, end: now(), fault: Some(failure.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::message::{Payload, Timestamp};

    #[test]
    fn departures() {
        let (start, end) = (Timestamp(3), Timestamp(5));
        let (ran, not_run) = (Handled { start, end }, Handled { start: end, end });
        let payload = Payload::pack("t.M", b"");
        let ended =
            |handled, fault: Option<&str>| Some(Departure { handled, end, fault: fault.map(str::to_owned) });
        let times = Some((start, end));
        let rows = [
            (Outcome::Next(payload.clone()), ran, ended(times, None)),
            (Outcome::Answer(payload), ran, ended(times, None)),
            (Outcome::Finished, ran, ended(times, None)),
            (Outcome::Fail(Failure::Lost), ran, ended(times, Some("the request was lost inside the engine"))),
            (
                Outcome::FailedInBackground(Failure::Lost),
                not_run,
                ended(None, Some("the request was lost inside the engine")),
            ),
            (
                Outcome::Again { counts: true },
                not_run,
                ended(None, Some("its process died: another one gets the message")),
            ),
            (
                Outcome::GiveBack,
                not_run,
                ended(None, Some("its process died: the message is given out again")),
            ),
            (Outcome::Again { counts: false }, not_run, None),
            (Outcome::Dropped, ran, ended(times, Some("cancelled: nobody waits for it any more"))),
        ];
        for (outcome, handled, expected) in rows {
            assert_eq!(departure(&outcome, handled), expected, "{outcome:?}");
        }
    }
}
