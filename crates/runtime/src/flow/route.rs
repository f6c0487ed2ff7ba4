//! The way of a request through its workflow.

use krt_model::name::Name;

/// The target of an RPC: its workflow and the required answer.
#[derive(Debug)]
pub struct Route {
    /// The workflow's name.
    pub workflow: Name,
    /// Its index in the version.
    pub index: usize,
    /// Indexes of the nodes in the version, in order; at least one.
    pub sequence: Vec<usize>,
    /// Full name of the message type that the RPC returns.
    pub answer_type: String,
    /// Largest message of an answer, in bytes.
    pub answer_limit: usize,
    /// Whether the answer is a stream of messages.
    pub streams: bool,
    /// Whether its requests wait in the order of their priorities.
    pub priority: bool,
}
