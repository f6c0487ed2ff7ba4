//! Decides on a handler's result: the next step of its request.

use crate::{message::Payload, name::Name, version::Memory};

/// The result of a handler call.
#[derive(Debug, Clone, PartialEq)]
pub enum HandlerResult {
    /// A message.
    Message {
        /// The message.
        payload: Payload,
        /// Whether the handler asked for an early exit: its message is the final answer.
        early_exit: bool,
    },
    /// Nothing: `None` in Python, `nil` in Go.
    Nothing {
        /// Whether the handler asked for an early exit.
        early_exit: bool,
    },
    /// The handler raised or returned an error.
    Error(String),
    /// A message above the size limit.
    TooLarge {
        /// Its size, in bytes.
        size: u64,
    },
    /// A message for which there is no memory.
    NoMemory {
        /// The bytes that all requests may hold.
        limit: usize,
    },
    /// The handler took longer than its node's `timeout`.
    TimedOut,
    /// Stopped, because no client waits for it any more.
    Cancelled,
    /// The process ended while it handled the message; described in text.
    Died(String),
    /// The process was killed while it handled the message, because it exceeded this memory limit.
    OutOfMemory(Memory),
    /// The process ended before it touched the message.
    Untouched,
}

/// The position of a message.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The node that handled it.
    pub node: &'a Name,
    /// Whether the workflow ends here.
    pub last: bool,
    /// Whether the client had an early reply.
    pub replied: bool,
    /// Whether the broker delivered the message before, so that an early reply may have confirmed the work.
    pub redelivered: bool,
    /// How many more times another process may get the message.
    pub retries_left: u16,
    /// How many more times the broker redelivers the message when it is given back; 0 if it keeps no
    /// messages.
    pub redeliveries_left: u16,
    /// The full name of the RPC's answer type.
    pub answer_type: &'a str,
    /// The largest message of an answer, in bytes.
    pub answer_limit: usize,
    /// Whether the RPC's answer is a stream of messages.
    pub streams: bool,
    /// How many messages of the answer the handler has sent.
    pub sent: u32,
}

/// The next step of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Send this to the next node of the workflow.
    Next(Payload),
    /// Answer the client with this; in a stream, it is the last message.
    Answer(Payload),
    /// End the client's stream, without another message.
    EndStream,
    /// Answer the client with an error.
    Fail(Failure),
    /// Give the same node the message again.
    Retry {
        /// Whether this uses up one of its retries.
        counts: bool,
    },
    /// Give the message back to the broker, which redelivers it.
    Redeliver,
    /// The workflow has ended; the client had its answer before.
    Finished,
    /// The workflow has failed in the background; the client had its answer before.
    FailedInBackground(Failure),
    /// The result is not needed: no client waits.
    Dropped,
}

/// Why a request has no answer. Its text and its hint are for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum Failure {
    /// The handler raised or returned an error. KRT v1 fixes the text (docs/reference/krt-v1.md#entrypoint).
    #[error("error in '{node}': {error}")]
    Handler {
        /// The node.
        node: Name,
        /// The handler's error text.
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
        /// How the process ended.
        how: String,
    },
    /// The node's process ended after it had sent a part of the answer.
    #[error("node '{node}' died after {sent} messages of the answer: {how}")]
    Interrupted {
        /// The node.
        node: Name,
        /// How many messages it had sent.
        sent: u32,
        /// How the process ended.
        how: String,
    },
    /// The node's process was killed for memory while it handled the request.
    #[error("node '{node}' ran out of memory while it handled the request: its limit is {limit}")]
    OutOfMemory {
        /// The node.
        node: Name,
        /// Its memory limit.
        limit: Memory,
    },
    /// No process of the node is up.
    #[error("node '{node}' is down: it is being restarted")]
    Down {
        /// The node.
        node: Name,
    },
    /// The node sleeps, and no process of it starts.
    #[error("node '{node}' does not start: {reason}")]
    NotStarted {
        /// The node.
        node: Name,
        /// The reason.
        reason: String,
    },
    /// No runner takes messages for a node that runs outside krt.
    #[error("no runner serves node `{node}`")]
    #[diagnostic(help("`krt env {node}` prints the variables that start one"))]
    NoRunner {
        /// The node.
        node: Name,
    },
    /// The service is starting or stopping.
    #[error("the service is {state}")]
    NotServing {
        /// "starting" or "stopping".
        state: &'static str,
    },
    /// The answer is not of the RPC's type.
    #[error("node '{node}' answered with a {got}, but the RPC returns {expected}")]
    WrongType {
        /// The node.
        node: Name,
        /// The full name of the answer's type.
        got: String,
        /// The full name of the RPC's type.
        expected: String,
    },
    /// The message is larger than the broker accepts.
    #[error("the message of '{sender}' has {size} bytes when it is sent, and the NATS server takes {limit}")]
    TooLargeToSend {
        /// The node, or the entrypoint.
        sender: String,
        /// Its size as sent, in bytes.
        size: usize,
        /// The server's limit, in bytes.
        limit: usize,
    },
    /// The broker cannot be reached.
    #[error("the connection to NATS is lost")]
    Disconnected,
    /// A failure elsewhere, with the text that arrived with the answer.
    #[error("{message}")]
    Remote {
        /// Its kind.
        kind: Kind,
        /// Its text.
        message: String,
    },
    /// The answer is larger than the limit.
    #[error("the answer of node '{node}' has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// The node.
        node: Name,
        /// The answer's size, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// There is no room for another request.
    #[error("the queue is full: {limit} {unit} are in flight")]
    QueueFull {
        /// The limit.
        limit: usize,
        /// Its unit: requests, or bytes.
        unit: &'static str,
    },
    /// There is no memory for a message.
    #[error("no room for the message: requests in flight may hold {limit} bytes")]
    #[diagnostic(help("try again, or raise --max-bytes"))]
    NoMemory {
        /// The bytes that all requests may hold.
        limit: usize,
    },
    /// No answer arrived in time.
    #[error("no answer within {} s", .waited.as_secs_f64())]
    Deadline {
        /// How long the request waited.
        waited: std::time::Duration,
    },
    /// The engine lost the request, which is a defect of the engine.
    #[error("the request was lost inside the engine")]
    Lost,
}

/// The kind of a failure, which decides the client's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Failure::Handler`].
    Handler,
    /// [`Failure::HandlerTimeout`].
    HandlerTimeout,
    /// [`Failure::Died`].
    Died,
    /// [`Failure::Interrupted`].
    Interrupted,
    /// [`Failure::OutOfMemory`].
    OutOfMemory,
    /// [`Failure::Down`], [`Failure::NotStarted`] and [`Failure::NoRunner`].
    Down,
    /// [`Failure::NotServing`].
    NotServing,
    /// [`Failure::WrongType`].
    WrongType,
    /// [`Failure::TooLarge`] and [`Failure::TooLargeToSend`].
    TooLarge,
    /// [`Failure::QueueFull`] and [`Failure::NoMemory`].
    QueueFull,
    /// [`Failure::Deadline`].
    Deadline,
    /// [`Failure::Disconnected`].
    Disconnected,
    /// [`Failure::Lost`].
    Lost,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Handler,
        Self::HandlerTimeout,
        Self::Died,
        Self::Interrupted,
        Self::OutOfMemory,
        Self::Down,
        Self::NotServing,
        Self::WrongType,
        Self::TooLarge,
        Self::QueueFull,
        Self::Deadline,
        Self::Disconnected,
        Self::Lost,
    ];

    /// Returns its name: one word of letters and `_`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::HandlerTimeout => "handler_timeout",
            Self::Died => "died",
            Self::Interrupted => "interrupted",
            Self::OutOfMemory => "out_of_memory",
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

    /// Parses a name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl Failure {
    /// Returns its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Handler { .. } => Kind::Handler,
            Self::HandlerTimeout { .. } => Kind::HandlerTimeout,
            Self::Died { .. } => Kind::Died,
            Self::Interrupted { .. } => Kind::Interrupted,
            Self::OutOfMemory { .. } => Kind::OutOfMemory,
            Self::Down { .. } | Self::NotStarted { .. } | Self::NoRunner { .. } => Kind::Down,
            Self::NotServing { .. } => Kind::NotServing,
            Self::WrongType { .. } => Kind::WrongType,
            Self::TooLarge { .. } | Self::TooLargeToSend { .. } => Kind::TooLarge,
            Self::QueueFull { .. } | Self::NoMemory { .. } => Kind::QueueFull,
            Self::Deadline { .. } => Kind::Deadline,
            Self::Disconnected => Kind::Disconnected,
            Self::Remote { kind, .. } => *kind,
            Self::Lost => Kind::Lost,
        }
    }
}

/// Decides what follows from a handler's result (docs/reference/krt-v1.md#entrypoint and #context).
pub fn decide(step: &Step<'_>, result: HandlerResult) -> Outcome {
    match result {
        HandlerResult::Message { payload, early_exit } if step.last || early_exit => answer(step, payload),
        HandlerResult::Message { payload, .. } => Outcome::Next(payload),
        HandlerResult::Nothing { early_exit } if step.replied && (step.last || early_exit) => {
            Outcome::Finished
        }
        HandlerResult::Nothing { early_exit } if step.streams && (step.last || early_exit) => {
            Outcome::EndStream
        }
        HandlerResult::Nothing { .. } => {
            fail(step, Failure::Handler { node: step.node.clone(), error: NOTHING.to_owned() })
        }
        HandlerResult::Error(error) => fail(step, Failure::Handler { node: step.node.clone(), error }),
        HandlerResult::TooLarge { size } => fail(step, too_large(step, size)),
        HandlerResult::NoMemory { limit } => fail(step, Failure::NoMemory { limit }),
        HandlerResult::TimedOut => fail(step, Failure::HandlerTimeout { node: step.node.clone() }),
        HandlerResult::Cancelled => Outcome::Dropped,
        HandlerResult::Died(how) if step.sent > 0 => {
            died(step, Failure::Interrupted { node: step.node.clone(), sent: step.sent, how })
        }
        HandlerResult::Died(how) => died(step, Failure::Died { node: step.node.clone(), how }),
        HandlerResult::OutOfMemory(limit) => {
            died(step, Failure::OutOfMemory { node: step.node.clone(), limit })
        }
        HandlerResult::Untouched => Outcome::Retry { counts: false },
    }
}

/// Decides on a message whose worker ended while handling it.
fn died(step: &Step<'_>, failure: Failure) -> Outcome {
    // The client has a part of the answer, which another process would begin again.
    if step.sent > 0 {
        return fail(step, failure);
    }
    if step.retries_left > 0 {
        return Outcome::Retry { counts: true };
    }
    // The end of a process must not lose work that an answer confirmed.
    let may_be_confirmed = step.replied || step.redelivered;
    if may_be_confirmed && step.redeliveries_left > 0 { Outcome::Redeliver } else { fail(step, failure) }
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

/// Checks the type and size of an RPC's answer.
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
