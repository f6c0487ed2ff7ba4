//! Where documents, measurements, logs and requests go.

use super::EngineArgs;
use crate::values::runtime_id;
use clap::Args;
use krt_model::version::Version;
use krt_remote::{Address, Documents, Influx, Mongo, SPOOL_LIMIT};
use krt_store::{Store, Writer};
use std::path::Path;

/// Stores elsewhere.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Remote stores")]
pub(crate) struct RemoteArgs {
    /// Keep documents and predictions in MongoDB, in the database `<runtime>-data`
    #[arg(long, value_name = "URL", env = "KRT_MONGO_URI", hide_env_values = true)]
    mongo: Option<Address>,

    /// Write measurements to InfluxDB: http://TOKEN@HOST:8086?org=ORG, or http://USER:PASSWORD@HOST:8086
    #[arg(long, value_name = "URL", env = "KRT_INFLUX_URI", hide_env_values = true)]
    influx: Option<Address>,

    /// The id of the runtime that the version belongs to: databases, buckets and subjects are named after
    /// it [default: the version]
    #[arg(long, value_name = "ID", env = "KRT_RUNTIME_ID", value_parser = runtime_id)]
    pub(super) runtime: Option<String>,
}

impl RemoteArgs {
    /// The runtime's id.
    pub(crate) fn runtime(&self, version: &Version) -> String {
        self.runtime.clone().unwrap_or_else(|| version.name.to_string())
    }

    /// Where documents are, if elsewhere.
    pub(crate) fn mongo(&self) -> Option<&Address> {
        self.mongo.as_ref()
    }

    /// Where measurements go, if elsewhere.
    pub(crate) fn influx(&self) -> Option<&Address> {
        self.influx.as_ref()
    }
}

/// The stores of a package.
pub(super) struct Stores {
    /// Takes measurements, logs and requests.
    pub(super) store: Store,
    /// Takes documents.
    pub(super) documents: Documents,
    writer: Writer,
    influx: Option<Influx>,
}

impl Stores {
    /// Opens the embedded store in a folder, and what is to be used instead of its parts.
    pub(super) async fn open(
        args: &EngineArgs,
        remote: &RemoteArgs,
        data: &Path,
        runtime: &str,
    ) -> anyhow::Result<Self> {
        let mongo = match &remote.mongo {
            Some(address) => Some(Mongo::connect(address, runtime).await?),
            None => None,
        };
        let options = args.store_options();
        let (influx, (store, writer)) = match &remote.influx {
            Some(address) => {
                let (influx, sink) = Influx::start(address, runtime, &data.join("influx"), SPOOL_LIMIT)?;
                (Some(influx), Store::open_with_sink(data, &options, sink)?)
            }
            None => (None, Store::open(data, &options)?),
        };
        let documents = mongo.map_or_else(|| Documents::Embedded(store.clone()), Documents::Mongo);
        Ok(Self { store, documents, writer, influx })
    }

    /// Writes what waits, and ends.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let Self { store, documents, writer, influx } = self;
        drop((store, documents));
        tokio::task::spawn_blocking(move || writer.close()).await?;
        if let Some(influx) = influx {
            influx.close().await;
        }
        Ok(())
    }
}
