//! Stores of documents, measurements, logs and request records.

use super::EngineArgs;
use crate::{error::Result, values::runtime_id};
use clap::Args;
use krt_model::version::Version;
use krt_remote::{Address, Documents, Influx, Mongo, SPOOL_LIMIT};
use krt_store::{Store, Writer};
use std::path::Path;

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

    /// Id of the runtime that the version belongs to; it names databases, buckets and subjects
    /// [default: the version's name]
    #[arg(long, value_name = "ID", env = "KRT_RUNTIME_ID", value_parser = runtime_id)]
    pub(super) runtime: Option<String>,
}

impl RemoteArgs {
    /// The runtime's id.
    pub(crate) fn runtime(&self, version: &Version) -> String {
        self.runtime.clone().unwrap_or_else(|| version.name.to_string())
    }

    /// The server for documents, if remote.
    pub(crate) fn mongo(&self) -> Option<&Address> {
        self.mongo.as_ref()
    }

    /// The server for measurements, if remote.
    pub(crate) fn influx(&self) -> Option<&Address> {
        self.influx.as_ref()
    }
}

/// The stores of a package.
pub(super) struct Stores {
    /// The store of measurements, logs and request records.
    pub(super) store: Store,
    /// The store of documents.
    pub(super) documents: Documents,
    writer: Writer,
    influx: Option<Influx>,
}

impl Stores {
    /// Opens the embedded store in a folder, and the remote stores that replace its parts.
    pub(super) async fn open(
        args: &EngineArgs,
        remote: &RemoteArgs,
        data: &Path,
        runtime: &str,
    ) -> Result<Self> {
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

    /// Writes pending data, and closes the stores.
    pub(super) async fn close(self) -> Result<()> {
        let Self { store, documents, writer, influx } = self;
        drop((store, documents));
        tokio::task::spawn_blocking(move || writer.close()).await?;
        if let Some(influx) = influx {
            influx.close().await;
        }
        Ok(())
    }
}
