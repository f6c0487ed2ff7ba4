//! The meaning of an older runner's message for its request.

use krt_broker::{Envelope, envelope::Stage};
use krt_model::message::Payload;

/// The target of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recipient {
    /// The next node.
    Next,
    /// The client: the request's inbox, or in JetStream the entrypoint.
    Client,
}

/// A process's message about a request.
#[derive(Debug, PartialEq)]
pub(super) enum RunnerMessage {
    /// An early reply; the handler continues.
    EarlyReply(Payload),
    /// The handler's result.
    Message {
        payload: Payload,
        early_exit: bool,
        /// The node and the times of the handler.
        stage: Option<Stage>,
    },
    /// The handler returned nothing, which is allowed once the client has its answer.
    Nothing,
    /// The handler failed, or its result could not be sent.
    Error(String),
}

/// The runners' error text when a handler returned nothing.
const NO_MESSAGE: &str = "the handler result is not a valid protobuf";

/// The state of the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestState<'a> {
    /// The node.
    pub(super) node: &'a str,
    /// Whether the workflow ends here.
    pub(super) last: bool,
    /// Whether the client has its answer.
    pub(super) replied: bool,
}

/// Interprets a message by its target.
pub(super) fn interpret(envelope: Envelope, to: Recipient, state: RequestState<'_>) -> RunnerMessage {
    if !envelope.error.is_empty() {
        // The client's text is built again from the handler's text and the node.
        let prefix = format!("error in '{}': ", state.node);
        let text = envelope.error.strip_prefix(&prefix).unwrap_or(&envelope.error);
        let may_be_nothing = state.last && state.replied;
        return match may_be_nothing && text.starts_with(NO_MESSAGE) {
            true => RunnerMessage::Nothing,
            false => RunnerMessage::Error(text.to_owned()),
        };
    }
    let Some(payload) = envelope.payload else {
        return RunnerMessage::Error("its answer has no message".to_owned());
    };
    // Some runners mark an early reply, others send only the payload.
    let bare = envelope.tracking_id.is_empty() && envelope.tracking.is_empty();
    if to == Recipient::Client && (envelope.replied || bare) && !state.replied {
        return RunnerMessage::EarlyReply(payload);
    }
    let early_exit = envelope.early_exit || to == Recipient::Client && !state.last;
    let stage = envelope.tracking.into_iter().last().filter(|stage| stage.node_name == state.node);
    RunnerMessage::Message { payload, early_exit, stage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let payload = Payload::pack("type.googleapis.com/a.B", b"x");
        let stage = Stage { node_name: "etl".to_owned(), start: None, end: None };
        let full = Envelope {
            tracking_id: "id".to_owned(),
            tracking: vec![stage.clone()],
            payload: Some(payload.clone()),
            ..Envelope::default()
        };
        let bare = Envelope { payload: Some(payload.clone()), ..Envelope::default() };
        let error = |error: &str| Envelope { error: error.to_owned(), ..Envelope::default() };
        let message = |early_exit| RunnerMessage::Message {
            payload: payload.clone(),
            early_exit,
            stage: Some(stage.clone()),
        };
        let early = || RunnerMessage::EarlyReply(payload.clone());
        let failed = |text: &str| RunnerMessage::Error(text.to_owned());
        let (middle, last) = ((false, false), (true, false));
        let rows = [
            (full.clone(), Recipient::Next, middle, message(false)),
            (full.clone(), Recipient::Next, (false, true), message(false)),
            (full.clone(), Recipient::Client, last, message(false)),
            (full.clone(), Recipient::Client, middle, message(true)),
            (Envelope { early_exit: true, ..full.clone() }, Recipient::Client, middle, message(true)),
            (Envelope { replied: true, ..full.clone() }, Recipient::Next, (false, true), message(false)),
            (bare.clone(), Recipient::Client, middle, early()),
            (bare.clone(), Recipient::Client, last, early()),
            (Envelope { replied: true, ..bare.clone() }, Recipient::Client, middle, early()),
            (
                Envelope { replied: true, tracking_id: "id".to_owned(), ..bare.clone() },
                Recipient::Client,
                middle,
                early(),
            ),
            (Envelope { replied: true, ..full.clone() }, Recipient::Client, (true, true), message(false)),
            (error("error in 'etl': no"), Recipient::Client, middle, failed("no")),
            (
                error("error in 'etl': the handler result is not a valid protobuf: x"),
                Recipient::Client,
                (true, true),
                RunnerMessage::Nothing,
            ),
            (
                error("error in 'etl': the handler result is not a valid protobuf: x"),
                Recipient::Client,
                last,
                failed("the handler result is not a valid protobuf: x"),
            ),
            (error("something else"), Recipient::Client, last, failed("something else")),
            (Envelope::default(), Recipient::Client, last, failed("its answer has no message")),
        ];
        for (envelope, to, (last, replied), expected) in rows {
            let state = RequestState { node: "etl", last, replied };
            assert_eq!(interpret(envelope.clone(), to, state), expected, "{envelope:?} {to:?} {state:?}");
        }
    }
}
