//! How messages get from node to node: through memory, or over a network.

use super::{
    desk::Desk,
    hop,
    request::{Delivery, Request},
};
use krt_model::outcome::Failure;
use std::{fmt, sync::Arc};

/// Takes messages to the desks of the nodes that they are for, wherever those are.
pub trait Broker: Send + Sync + fmt::Debug {
    /// Takes a delivery to its node; it comes back with why, when that cannot be.
    fn post(&self, delivery: Delivery) -> Result<(), Box<Refused>>;

    /// Nobody waits for a request any more.
    fn cancel(&self, request: &Request);

    /// Whether it can be reached.
    fn is_connected(&self) -> bool;

    /// Whether a message for the node, by its index in the version, would be handled.
    fn serves(&self, node: usize) -> bool;
}

/// A delivery that could not be taken to its node.
#[derive(Debug)]
pub struct Refused {
    /// The delivery.
    pub delivery: Delivery,
    /// Why not.
    pub failure: Failure,
}

impl Refused {
    /// On the heap: it is large, and seldom there.
    pub fn boxed(delivery: Delivery, failure: Failure) -> Box<Self> {
        Box::new(Self { delivery, failure })
    }
}

/// All nodes are in this engine: a message goes from desk to desk.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) desks: Arc<[Arc<Desk>]>,
}

impl Broker for Memory {
    fn post(&self, delivery: Delivery) -> Result<(), Box<Refused>> {
        let desk = &self.desks[delivery.node()];
        hop::arrive(&delivery, desk.node());
        desk.post(delivery)
            .map_err(|delivery| Refused::boxed(delivery, Failure::Down { node: desk.node().clone() }))
    }

    fn cancel(&self, _request: &Request) {}

    fn is_connected(&self) -> bool {
        true
    }

    fn serves(&self, node: usize) -> bool {
        self.desks[node].hosts() > 0
    }
}
