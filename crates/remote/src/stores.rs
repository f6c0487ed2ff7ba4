//! The stores of a runtime: the embedded one in a folder, and the remote ones that replace its parts.

use crate::{
    Address, Documents, Error, Influx, MongoServer, SPOOL_LIMIT,
    influx::{self, InfluxWatch},
};
use krt_store::{Options, Store, Writer};
use std::path::Path;
use tokio::sync::Mutex;

/// The folder for measurements that wait for InfluxDB, below that of the embedded store.
const SPOOL: &str = "influx";

/// The servers of remote stores, for any number of runtimes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    mongo: Option<MongoServer>,
    influx: Option<Address>,
}

/// The stores of a runtime's measurements, documents, predictions, logs and requests.
#[derive(Debug)]
pub struct Stores {
    /// Measurements, logs and requests.
    pub store: Store,
    /// Documents and predictions.
    pub documents: Documents,
    /// What became of the measurements, where InfluxDB gets them.
    pub influx: Option<InfluxWatch>,
    /// Empty once they are closed.
    open: Mutex<Option<(Writer, Option<Influx>)>>,
}

impl Servers {
    /// Connects to MongoDB, if it is named. InfluxDB may be away: measurements wait for it.
    pub async fn connect(mongo: Option<&Address>, influx: Option<&Address>) -> Result<Self, Error> {
        influx.map(influx::check).transpose()?;
        let mongo = match mongo {
            Some(address) => Some(MongoServer::connect(address).await?),
            None => None,
        };
        Ok(Self { mongo, influx: influx.cloned() })
    }

    /// Deletes the databases of a runtime, with all that is in them.
    pub async fn delete(&self, runtime: &str) -> Result<(), Error> {
        if let Some(mongo) = &self.mongo {
            mongo.database(runtime).delete().await?;
        }
        match &self.influx {
            Some(address) => influx::delete(address, runtime).await,
            None => Ok(()),
        }
    }
}

impl Stores {
    /// Opens the embedded store in a folder, and the databases of a runtime on servers. Call it on the async runtime;
    /// it blocks while the folder is opened.
    pub fn open(folder: &Path, options: &Options, servers: &Servers, runtime: &str) -> Result<Self, Error> {
        let (influx, (store, writer)) = match &servers.influx {
            Some(address) => {
                let (influx, sink) = Influx::start(address, runtime, &folder.join(SPOOL), SPOOL_LIMIT)?;
                (Some(influx), Store::open_with_sink(folder, options, sink)?)
            }
            None => (None, Store::open(folder, options)?),
        };
        let documents = match &servers.mongo {
            Some(mongo) => Documents::Mongo(mongo.database(runtime)),
            None => Documents::Embedded(store.clone()),
        };
        let watch = influx.as_ref().map(Influx::watch);
        Ok(Self { store, documents, influx: watch, open: Mutex::new(Some((writer, influx))) })
    }

    /// Writes pending data, and closes the stores. The second time it does nothing.
    pub async fn close(&self) {
        let Some((writer, influx)) = self.open.lock().await.take() else { return };
        if let Err(error) = tokio::task::spawn_blocking(move || writer.close()).await {
            tracing::error!(%error, "the store was not closed");
        }
        if let Some(influx) = influx {
            influx.close().await;
        }
    }
}
