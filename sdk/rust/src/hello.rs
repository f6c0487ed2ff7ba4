//! What HELLO says that a host needs.

use crate::frame::Breach;
use serde::Deserialize;
use std::path::PathBuf;

/// What the node is to run, and within which limits. What else HELLO has is passed over.
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
}

/// What is left of a frame for what stands around a message.
const AROUND: usize = 1024;

impl Hello {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Breach> {
        serde_json::from_slice(body).map_err(|error| Breach(format!("HELLO does not parse: {error}")))
    }

    /// What handlers get and return.
    pub(crate) fn payload(&self) -> &str {
        self.payload.as_deref().unwrap_or("protobuf")
    }

    /// The largest message that goes out, in bytes.
    pub(crate) fn largest(&self) -> usize {
        self.max_message.min(self.max_frame.saturating_sub(AROUND))
    }
}
