//! Nodes: the processes that run user code, and the engine's conversation with them.
//!
//! - [`supervisor`]: starts hosts, restarts them, stops them.
//! - [`process`]: one process.
//! - [`link`]: the engine's end of the socket to one host.
//! - [`window`]: what a host has been given and has not answered yet.
//! - [`plain`]: plain data instead of messages, for nodes that want it.
//! - [`frame`]: the node protocol's frames.
//! - [`effects`]: measurements, documents, predictions.
//! - [`output`]: what user code prints.

mod backoff;
mod effects;
pub mod frame;
mod host;
mod link;
mod output;
mod plain;
mod process;
mod supervisor;
mod window;

pub use plain::Plain;
pub use process::{Launch, Lifeline};
pub use supervisor::{Nodes, StartError};

use crate::{
    flow::{Desk, Flow},
    logs::Logs,
};
use krt_model::{name::Name, version::RunOptions};
use krt_remote::Documents;
use krt_store::Store;
use std::sync::Arc;

/// What all hosts of one node share.
#[derive(Debug)]
pub struct Node {
    /// The node's name.
    pub name: Name,
    /// Its index in the version.
    pub index: usize,
    /// How it is run.
    pub run: RunOptions,
    /// What is started.
    pub launch: Launch,
    /// Makes plain data of messages.
    pub plain: Plain,
    /// What each host is told first.
    pub hello: frame::Hello,
    /// Where deliveries come from and go to.
    pub flow: Arc<Flow>,
    /// Where measurements go.
    pub store: Store,
    /// Where documents go.
    pub documents: Documents,
    /// Where its records go.
    pub logs: Logs,
}

impl Node {
    fn desk(&self) -> &Arc<Desk> {
        self.flow.desk(self.index)
    }
}
