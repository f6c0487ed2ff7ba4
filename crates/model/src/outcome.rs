//! The judgement of a handler's result: what happens to the request now.

use crate::{message::Payload, name::Name};

/// What a handler made of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum HandlerResult {
    /// A message.
    Message {
        /// What the handler returned.
        payload: Payload,
        /// Whether it asked for an early exit: its message is the final answer.
        early_exit: bool,
    },
    /// Nothing: `None` in Python, `nil` in Go.
    Nothing {
        /// Whether it asked for an early exit.
        early_exit: bool,
    },
    /// The handler raised or returned an error.
    Error(String),
    /// A message that is larger than messages may be.
    TooLarge {
        /// Its bytes.
        size: u64,
    },
    /// The handler took longer than its node's `timeout`.
    TimedOut,
    /// Stopped, because nobody waits for it any more.
    Cancelled,
    /// The process ended while it handled the message; how, in words.
    Died(String),
    /// The process ended before it touched the message.
    Untouched,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The node that handled it.
    pub node: &'a Name,
    /// Whether the workflow ends here.
    pub last: bool,
    /// Whether the client was answered before, by an early reply.
    pub replied: bool,
    /// How many more times the message may be given to another process.
    pub retries_left: u16,
    /// How many more times the broker gives the message out when it is given back; 0 where it keeps none.
    pub redeliveries_left: u16,
    /// The full name of the message that the RPC returns.
    pub answer_type: &'a str,
    /// The largest answer, bytes.
    pub answer_limit: usize,
}

/// What happens to the request now.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The next node of the workflow gets this.
    Next(Payload),
    /// The client gets this.
    Answer(Payload),
    /// The client gets an error.
    Fail(Failure),
    /// The same node gets the message again.
    Again {
        /// Whether this uses up one of its retries.
        counts: bool,
    },
    /// The broker gets the message back, and gives it out again.
    GiveBack,
    /// The workflow has ended; the client was answered before.
    Finished,
    /// The workflow has failed in the background; the client was answered before.
    FailedInBackground(Failure),
    /// Nobody waits any more.
    Dropped,
}

/// Why a request has no answer. Its text is what the client reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The handler raised or returned an error. The text is fixed by KRT v1.
    #[error("error in '{node}': {error}")]
    Handler {
        /// The node.
        node: Name,
        /// The handler's words.
        error: String,
    },
    /// The handler took longer than its node's `timeout`.
    #[error("the handler of node '{node}' took longer than the node's timeout")]
    HandlerTimeout {
        /// The node.
        node: Name,
    },
    /// The node's process ended while it handled the request.
    #[error("node '{node}' died while it handled the request: {how}")]
    Died {
        /// The node.
        node: Name,
        /// How it ended.
        how: String,
    },
    /// No process of the node is up.
    #[error("node '{node}' is down: it is being restarted")]
    Down {
        /// The node.
        node: Name,
    },
    /// The service starts or stops.
    #[error("the service is {state}")]
    NotServing {
        /// "starting" or "stopping".
        state: &'static str,
    },
    /// The answer is of another type than the RPC returns.
    #[error("node '{node}' answered with a {got}, but the RPC returns {expected}")]
    WrongType {
        /// The node.
        node: Name,
        /// The full name of what it answered.
        got: String,
        /// The full name of what the RPC returns.
        expected: String,
    },
    /// The message is larger than the broker takes.
    #[error("the message of '{sender}' has {size} bytes when it is sent, and the NATS server takes {limit}")]
    TooLargeToSend {
        /// The node, or the entrypoint.
        sender: String,
        /// Bytes as they would be sent.
        size: usize,
        /// Bytes that the server takes.
        limit: usize,
    },
    /// The broker cannot be reached.
    #[error("the connection to NATS is lost")]
    Disconnected,
    /// What failed elsewhere, in the words that came with the answer.
    #[error("{words}")]
    Elsewhere {
        /// Of which kind it is.
        kind: Kind,
        /// The words.
        words: String,
    },
    /// The answer is larger than the limit.
    #[error("the answer of node '{node}' has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// The node.
        node: Name,
        /// Bytes of the answer.
        size: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// There is no room for another request.
    #[error("the queue is full: {limit} {unit} are in work")]
    QueueFull {
        /// How much may be in work.
        limit: usize,
        /// Of what: requests, or bytes.
        unit: &'static str,
    },
    /// No answer came in time.
    #[error("no answer within {} s", .waited.as_secs_f64())]
    Deadline {
        /// How long the request waited.
        waited: std::time::Duration,
    },
    /// The engine lost the request. This is a defect of the engine.
    #[error("the request was lost inside the engine")]
    Lost,
}

/// Of which kind a failure is: what decides the status that the client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Failure::Handler`].
    Handler,
    /// [`Failure::HandlerTimeout`].
    HandlerTimeout,
    /// [`Failure::Died`].
    Died,
    /// [`Failure::Down`].
    Down,
    /// [`Failure::NotServing`].
    NotServing,
    /// [`Failure::WrongType`].
    WrongType,
    /// [`Failure::TooLarge`] and [`Failure::TooLargeToSend`].
    TooLarge,
    /// [`Failure::QueueFull`].
    QueueFull,
    /// [`Failure::Deadline`].
    Deadline,
    /// [`Failure::Disconnected`].
    Disconnected,
    /// [`Failure::Lost`].
    Lost,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Handler,
        Self::HandlerTimeout,
        Self::Died,
        Self::Down,
        Self::NotServing,
        Self::WrongType,
        Self::TooLarge,
        Self::QueueFull,
        Self::Deadline,
        Self::Disconnected,
        Self::Lost,
    ];

    /// One word of letters and `_`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::HandlerTimeout => "handler_timeout",
            Self::Died => "died",
            Self::Down => "down",
            Self::NotServing => "not_serving",
            Self::WrongType => "wrong_type",
            Self::TooLarge => "too_large",
            Self::QueueFull => "queue_full",
            Self::Deadline => "deadline",
            Self::Disconnected => "disconnected",
            Self::Lost => "lost",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl Failure {
    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Handler { .. } => Kind::Handler,
            Self::HandlerTimeout { .. } => Kind::HandlerTimeout,
            Self::Died { .. } => Kind::Died,
            Self::Down { .. } => Kind::Down,
            Self::NotServing { .. } => Kind::NotServing,
            Self::WrongType { .. } => Kind::WrongType,
            Self::TooLarge { .. } | Self::TooLargeToSend { .. } => Kind::TooLarge,
            Self::QueueFull { .. } => Kind::QueueFull,
            Self::Deadline { .. } => Kind::Deadline,
            Self::Disconnected => Kind::Disconnected,
            Self::Elsewhere { kind, .. } => *kind,
            Self::Lost => Kind::Lost,
        }
    }
}

/// Judges a handler's result (KRT v1, "Entrypoint" and "Context").
pub fn judge(step: &Step<'_>, result: HandlerResult) -> Outcome {
    match result {
        HandlerResult::Message { payload, early_exit } if step.last || early_exit => answer(step, payload),
        HandlerResult::Message { payload, .. } => Outcome::Next(payload),
        HandlerResult::Nothing { early_exit } if step.replied && (step.last || early_exit) => {
            Outcome::Finished
        }
        HandlerResult::Nothing { .. } => {
            fail(step, Failure::Handler { node: step.node.clone(), error: NOTHING.to_owned() })
        }
        HandlerResult::Error(error) => fail(step, Failure::Handler { node: step.node.clone(), error }),
        HandlerResult::TooLarge { size } => fail(step, too_large(step, size)),
        HandlerResult::TimedOut => fail(step, Failure::HandlerTimeout { node: step.node.clone() }),
        HandlerResult::Cancelled => Outcome::Dropped,
        HandlerResult::Died(_) if step.retries_left > 0 => Outcome::Again { counts: true },
        // The client has its answer, which confirmed the work: it is not given up for a process.
        HandlerResult::Died(_) if step.replied && step.redeliveries_left > 0 => Outcome::GiveBack,
        HandlerResult::Died(how) => fail(step, Failure::Died { node: step.node.clone(), how }),
        HandlerResult::Untouched => Outcome::Again { counts: false },
    }
}

const NOTHING: &str = "the handler returned no message";

fn answer(step: &Step<'_>, payload: Payload) -> Outcome {
    match check_answer(step, &payload) {
        _ if step.replied => Outcome::Finished,
        Ok(()) => Outcome::Answer(payload),
        Err(failure) => Outcome::Fail(failure),
    }
}

fn fail(step: &Step<'_>, failure: Failure) -> Outcome {
    if step.replied { Outcome::FailedInBackground(failure) } else { Outcome::Fail(failure) }
}

/// Checks that a message can be the answer of an RPC: its type and its size.
pub fn check_answer(step: &Step<'_>, payload: &Payload) -> Result<(), Failure> {
    if payload.type_name() != step.answer_type {
        let got = if payload.type_name().is_empty() { "message of no type" } else { payload.type_name() };
        return Err(Failure::WrongType {
            node: step.node.clone(),
            got: got.to_owned(),
            expected: step.answer_type.to_owned(),
        });
    }
    let size = payload.value().len();
    if size > step.answer_limit { Err(too_large(step, size as u64)) } else { Ok(()) }
}

fn too_large(step: &Step<'_>, size: u64) -> Failure {
    Failure::TooLarge { node: step.node.clone(), size, limit: step.answer_limit }
}

#[cfg(test)]
mod tests;
