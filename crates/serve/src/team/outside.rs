//! What the command brings: how nodes are started, and what versions are held to.

use futures::future::BoxFuture;
use krt_model::name::{Name, VariableName};
use krt_package::Package;
use krt_runtime::{Options, logs::Logs, node::Launch, traces::Traces};
use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

/// How each node of a package is started.
pub struct Prepared {
    /// In the package's order.
    pub launches: Vec<Option<Launch>>,
    /// Where traces go.
    pub traces: Traces,
    /// What must be there as long as they run.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A package that is to be prepared.
#[derive(Debug, Clone)]
pub struct Order {
    /// The runtime that it is a version of.
    pub runtime: Name,
    /// The package.
    pub package: Arc<Package>,
    /// The values of its configuration.
    pub values: BTreeMap<VariableName, String>,
    /// Where it is told what is made.
    pub logs: Logs,
}

/// Makes what a package's nodes need: environments, executables. What went wrong is told in words.
pub type Prepare = Box<dyn Fn(Order) -> BoxFuture<'static, Result<Prepared, String>> + Send + Sync>;

/// What the command brings.
pub struct Outside {
    /// How nodes are prepared.
    pub prepare: Prepare,
    /// What each version is held to.
    pub options: Options,
    /// How stores keep their data.
    pub store: krt_store::Options,
    /// The largest package, bytes.
    pub max_package: u64,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside")
            .field("options", &self.options)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
