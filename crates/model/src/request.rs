//! The record of a request: what its ingress knows of it, from its arrival until after its end.

use crate::{name::Name, outcome::HandlerResult};
use bson::Bson;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A request at an ingress, from its client's view, and the calls of handlers that it led to.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRecord {
    /// Its id.
    pub id: Arc<str>,
    /// The version of the solution.
    pub version: Name,
    /// The workflow.
    pub workflow: Name,
    /// When it arrived, in nanoseconds since the Unix epoch.
    pub start: i64,
    /// How long its client waited, in nanoseconds.
    pub elapsed: u64,
    /// How it ended for its client.
    pub ending: Ending,
    /// The error that its client got instead of an answer.
    pub error: Option<String>,
    /// The size of its message, in bytes.
    pub request_bytes: usize,
    /// The size of its answer, if it has one, in bytes.
    pub answer_bytes: Option<usize>,
    /// The messages that its client has taken, if its answer is a stream; known at its end.
    pub stream: Option<StreamedAnswer>,
    /// Whether it was answered before its workflow ended.
    pub early: bool,
    /// How the cache of its workflow answered it. `None`: its handlers did.
    pub cached: Option<Cached>,
    /// The calls of handlers.
    pub hops: Vec<Hop>,
    /// The number of calls beside them: messages between engines carry the first ones only.
    pub hops_left_out: usize,
    /// The first documents that its handlers saved.
    pub saved: Vec<Saved>,
    /// The number of documents saved in total.
    pub saves: usize,
}

/// The messages of a streamed answer that the client has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamedAnswer {
    /// Their number.
    pub messages: u64,
    /// When the client took the first one, in nanoseconds since the request arrived.
    pub first: Option<u64>,
}

/// How a request ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Ending {
    /// It was answered.
    Answered = 0,
    /// It failed.
    Failed = 1,
    /// The client left.
    Left = 2,
    /// It is in flight.
    InFlight = 3,
}

/// How a cache answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Cached {
    /// With an answer that it had.
    Hit = 1,
    /// With the answer to an equal request that was in flight.
    Shared = 2,
}

/// One call of a handler. Times are in nanoseconds since the request arrived, by the clock of the machine that called
/// the handler: from `start` to `end` is exact, but where machines differ, times may be negative and `posted` later
/// than `start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The node.
    pub node: Name,
    /// Its index in the workflow, from 0.
    pub position: usize,
    /// When its message was ready.
    pub posted: i64,
    /// When the handler was called.
    pub start: i64,
    /// When it returned, or was given up.
    pub end: i64,
    /// Time to encode the message for the worker, in nanoseconds.
    pub encode: u64,
    /// Time to decode the worker's message, in nanoseconds.
    pub decode: u64,
    /// How it ended.
    pub ending: HopEnding,
}

/// The calls of handlers that a message between engines carries: the first ones, and the number of the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HopChain {
    hops: Vec<Hop>,
    left_out: usize,
}

/// How a call of a handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum HopEnding {
    /// The handler returned.
    #[serde(rename = "ok")]
    Returned = 0,
    /// The handler raised an error.
    #[serde(rename = "error")]
    Raised = 1,
    /// The worker died.
    Died = 2,
    /// The handler ran longer than its node's timeout.
    TimedOut = 3,
    /// Cancelled, because the client left or its deadline passed.
    Cancelled = 4,
    /// The worker exceeded its memory limit.
    OutOfMemory = 5,
}

/// A document that a handler saved, possibly a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The node.
    pub node: Name,
    /// The collection.
    pub collection: String,
    /// The document's `_id`.
    pub id: Bson,
}

impl RequestRecord {
    /// The record of a request that has just arrived.
    pub fn new(id: Arc<str>, version: Name, workflow: Name, start: i64) -> Self {
        Self {
            id,
            version,
            workflow,
            start,
            elapsed: 0,
            ending: Ending::InFlight,
            error: None,
            request_bytes: 0,
            answer_bytes: None,
            stream: None,
            early: false,
            cached: None,
            hops: Vec::new(),
            hops_left_out: 0,
            saved: Vec::new(),
            saves: 0,
        }
    }
}

impl Ending {
    /// Every ending. The last is that of a request that has not ended.
    pub const ALL: [Self; 4] = [Self::Answered, Self::Failed, Self::Left, Self::InFlight];

    /// Its name: one word of letters and `_`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Left => "left",
            Self::InFlight => "in_flight",
        }
    }

    /// Parses a name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == word)
    }
}

impl Cached {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::Hit, Self::Shared];

    /// Its name: one word of letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Shared => "shared",
        }
    }
}

impl HopChain {
    /// The most calls that it keeps. Workflows have fewer nodes; of many retries the first show the reason.
    pub const MAX: usize = 32;

    /// Adds a call, or counts it.
    pub fn push(&mut self, hop: Hop) {
        if self.hops.len() < Self::MAX {
            self.hops.push(hop);
        } else {
            self.leave_out(1);
        }
    }

    /// Counts calls that it does not keep.
    pub fn leave_out(&mut self, count: usize) {
        self.left_out = self.left_out.saturating_add(count);
    }

    /// The calls kept, in order.
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// The number of calls beside them.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Returns whether it has no calls.
    pub fn is_empty(&self) -> bool {
        self.hops.is_empty() && self.left_out == 0
    }
}

impl HopEnding {
    /// Every ending.
    pub const ALL: [Self; 6] =
        [Self::Returned, Self::Raised, Self::Died, Self::TimedOut, Self::Cancelled, Self::OutOfMemory];

    /// Its name: one word of letters and `_`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Returned => "ok",
            Self::Raised => "error",
            Self::Died => "died",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::OutOfMemory => "out_of_memory",
        }
    }

    /// Parses a name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == word)
    }

    /// How a call of a handler with this result ended.
    pub fn of(result: &HandlerResult) -> Self {
        match result {
            HandlerResult::Message { .. } | HandlerResult::Nothing { .. } => Self::Returned,
            HandlerResult::Error(_) | HandlerResult::TooLarge { .. } | HandlerResult::NoMemory { .. } => {
                Self::Raised
            }
            HandlerResult::TimedOut => Self::TimedOut,
            HandlerResult::Cancelled => Self::Cancelled,
            HandlerResult::OutOfMemory(_) => Self::OutOfMemory,
            HandlerResult::Died(_) | HandlerResult::Untouched => Self::Died,
        }
    }
}
