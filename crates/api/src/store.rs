//! Where a runtime keeps its data.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The place of one kind of a runtime's data. Logs, requests and boards are always in the server's data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeStore {
    /// The data.
    pub holds: Content,
    /// What keeps it.
    pub kept_by: Keeper,
    /// The address, without secrets; `null` for the data folder.
    #[schema(required)]
    pub address: Option<String>,
    /// The database or bucket; `null` for the data folder, and for messages.
    #[schema(required)]
    pub database: Option<String>,
    /// Whether it takes data now.
    pub up: bool,
    /// Why not.
    #[schema(required)]
    pub reason: Option<String>,
    /// The number of measurements that wait on the server's disk until it takes data.
    pub waiting: u64,
    /// The number of measurements since the start that were refused, or dropped because too many waited.
    pub dropped: u64,
    /// Whether deleting the runtime deletes the data.
    pub deleted_with_runtime: bool,
}

/// A kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Documents and predictions.
    Documents,
    /// Measurements.
    Measurements,
    /// Messages between the nodes of versions.
    Messages,
}

/// What keeps data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keeper {
    /// The data folder.
    Folder,
    /// MongoDB.
    MongoDb,
    /// InfluxDB.
    InfluxDb,
    /// NATS.
    Nats,
}
