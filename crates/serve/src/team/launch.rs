//! What the command passes in: how nodes start, and the limits of versions.

use futures::future::BoxFuture;
use krt_model::name::{Name, VariableName};
use krt_package::Package;
use krt_remote::Servers;
use krt_runtime::{Options, gpus::Gpus, logs::Logs, nats, node::Launch, traces::Traces};
use krt_store::Store;
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
};

/// How to start each node of a package.
pub struct Prepared {
    /// In the package's order.
    pub launches: Vec<Option<Launch>>,
    /// Must outlive the nodes.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A request to prepare a package.
#[derive(Debug, Clone)]
pub struct PrepareRequest {
    /// The runtime of the version.
    pub runtime: Name,
    /// The package.
    pub package: Arc<Package>,
    /// The folder for what its nodes run in, where that is made for this version alone. It may be missing.
    pub environment: PathBuf,
    /// The nodes that run here, by index.
    pub here: BTreeSet<usize>,
    /// The values of its configuration.
    pub values: BTreeMap<VariableName, String>,
    /// Receives log lines about the progress.
    pub logs: Logs,
    /// The store of the runtime.
    pub store: Store,
}

/// Prepares the environments and executables of a package's nodes. The error is a message.
pub type Prepare = Box<dyn Fn(PrepareRequest) -> BoxFuture<'static, Result<Prepared, String>> + Send + Sync>;

/// Chooses where traces of a version go.
pub type TracesFor = Box<dyn Fn(&Name) -> Traces + Send + Sync>;

/// What the command passes in.
pub struct LaunchConfig {
    /// Prepares nodes.
    pub prepare: Prepare,
    /// Chooses where traces go.
    pub traces: TracesFor,
    /// The GPUs for all versions.
    pub gpus: Arc<Gpus>,
    /// The limits of each version.
    pub options: Options,
    /// The options of stores.
    pub store: krt_store::Options,
    /// The servers of remote stores.
    pub servers: Servers,
    /// The NATS server that connects the nodes of each version, if any.
    pub nats: Option<nats::Server>,
    /// The largest package, in bytes.
    pub max_package: u64,
}

impl fmt::Debug for LaunchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaunchConfig")
            .field("options", &self.options)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
