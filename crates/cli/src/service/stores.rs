//! The flags for remote stores, and for the runtime that names their databases.

use crate::{error::Result, values::runtime_id};
use clap::Args;
use krt_broker::Namespace;
use krt_model::version::Version;
use krt_remote::{Address, Servers};

/// The arguments for remote stores.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Remote stores")]
pub(crate) struct RemoteArgs {
    /// Keep documents and predictions in MongoDB, in the database `<runtime>-data`
    #[arg(long, value_name = "URL", env = "KRT_MONGO_URI", hide_env_values = true)]
    mongo: Option<Address>,

    /// Write measurements to InfluxDB: http://TOKEN@HOST:8086?org=ORG, or http://USER:PASSWORD@HOST:8086
    #[arg(long, value_name = "URL", env = "KRT_INFLUX_URI", hide_env_values = true)]
    influx: Option<Address>,
}

/// The arguments for the runtime of a version that runs alone.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Remote stores")]
pub(crate) struct RuntimeArgs {
    /// Id of the runtime that the version belongs to; it names databases, buckets and subjects
    /// [default: the version's name]
    #[arg(long, value_name = "ID", env = "KRT_RUNTIME_ID", value_parser = runtime_id)]
    runtime: Option<String>,

    /// Use the subjects and streams of a version of `krt serve --nats`, which start with the runtime's id
    #[arg(long, requires = "runtime")]
    served: bool,
}

impl RemoteArgs {
    /// The server for documents, if remote.
    pub(crate) fn mongo(&self) -> Option<&Address> {
        self.mongo.as_ref()
    }

    /// The server for measurements, if remote.
    pub(crate) fn influx(&self) -> Option<&Address> {
        self.influx.as_ref()
    }

    /// Connects to the servers.
    pub(crate) async fn connect(&self) -> Result<Servers> {
        Ok(Servers::connect(self.mongo(), self.influx()).await?)
    }
}

impl RuntimeArgs {
    /// The runtime's id, and how it appears in subjects.
    pub(crate) fn namespace(&self, version: &Version) -> Namespace {
        match (&self.runtime, self.served) {
            (Some(runtime), true) => Namespace::of_server(&**runtime),
            (Some(runtime), false) => Namespace::of_runtime(&**runtime),
            (None, _) => Namespace::of_runtime(version.name.as_str()),
        }
    }
}
