//! Transport of messages from node to node: in memory, or over a network.

use super::{
    hop,
    queue::NodeQueue,
    request::{Delivery, Request},
};
use krt_model::outcome::Failure;
use std::{fmt, sync::Arc};

/// Carries messages to the queues of their nodes, in any engine.
pub trait Broker: Send + Sync + fmt::Debug {
    /// Sends a delivery to its node. On failure, returns the delivery and the reason.
    fn post(&self, delivery: Delivery) -> Result<(), Box<Refused>>;

    /// Cancels a request whose client has left.
    fn cancel(&self, request: &Request);

    /// Returns whether the broker can be reached.
    fn is_connected(&self) -> bool;

    /// Returns whether a message for the node, by its index in the version, would be handled.
    fn serves(&self, node: usize) -> bool;
}

/// A delivery that could not be sent to its node.
#[derive(Debug)]
pub struct Refused {
    /// The delivery.
    pub delivery: Delivery,
    /// The reason.
    pub failure: Failure,
}

impl Refused {
    /// Boxes the pair, as it is large and rare.
    pub fn boxed(delivery: Delivery, failure: Failure) -> Box<Self> {
        Box::new(Self { delivery, failure })
    }
}

/// A broker for nodes that all run in this engine: a message moves from queue to queue.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) queues: Arc<[Arc<NodeQueue>]>,
}

impl Broker for Memory {
    fn post(&self, delivery: Delivery) -> Result<(), Box<Refused>> {
        let queue = &self.queues[delivery.node()];
        hop::arrive(&delivery, queue.node());
        queue
            .post(delivery)
            .map_err(|delivery| Refused::boxed(delivery, Failure::Down { node: queue.node().clone() }))
    }

    fn cancel(&self, _request: &Request) {}

    fn is_connected(&self) -> bool {
        true
    }

    fn serves(&self, node: usize) -> bool {
        self.queues[node].workers() > 0
    }
}
