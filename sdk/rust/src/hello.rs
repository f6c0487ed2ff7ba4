//! The parts of HELLO that a worker needs.

use crate::frame::ProtocolError;
use serde::Deserialize;
use std::path::PathBuf;

/// The node to run, and its limits. Other fields of HELLO are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u64,
    pub(crate) node: String,
    pub(crate) version: String,
    pub(crate) version_id: String,
    pub(crate) base_path: PathBuf,
    pub(crate) concurrency: usize,
    pub(crate) max_frame: usize,
    pub(crate) max_message: usize,
    pub(crate) log_level: String,
    #[serde(default)]
    payload: Option<String>,
    /// Present if the handler gets batches.
    #[serde(default)]
    pub(crate) batch: Option<Batch>,
    /// Present if an answer may be a stream.
    #[serde(default)]
    pub(crate) stream: Option<Window>,
}

/// How much of a stream may wait for its client.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Window {
    pub(crate) messages: i64,
    pub(crate) bytes: i64,
}

/// The batches of a node.
#[derive(Debug, Deserialize)]
pub(crate) struct Batch {
    /// The most deliveries; the engine keeps to it.
    #[serde(rename = "max")]
    _max: usize,
}

/// The room in a frame around a message.
const FRAME_OVERHEAD: usize = 1024;

impl Hello {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        serde_json::from_slice(body).map_err(|error| ProtocolError(format!("HELLO does not parse: {error}")))
    }

    /// The form of payloads.
    pub(crate) fn payload(&self) -> &str {
        self.payload.as_deref().unwrap_or("protobuf")
    }

    /// The largest message to send, in bytes.
    pub(crate) fn largest(&self) -> usize {
        self.max_message.min(self.max_frame.saturating_sub(FRAME_OVERHEAD))
    }
}
