//! Reads a store, from the process that writes it or from any other.
//!
//! - [`documents`]: collections, searches, predictions.
//! - [`measurements`]: measurements and their points.
//! - [`windows`]: points aggregated over windows of time.
//! - [`logs`]: searches and follows logs.
//! - [`requests`]: the latest and slowest requests, each with its record.

pub(crate) mod documents;
pub(crate) mod logs;
pub(crate) mod measurements;
pub(crate) mod requests;
mod sketch;
pub(crate) mod windows;

use crate::{
    database::{DOCUMENTS, Pool, TELEMETRY},
    error::Error,
};
use std::{path::Path, sync::Arc};

/// Reads a store. Cheap to clone. Synchronous methods block: call them on a thread that may.
#[derive(Debug, Clone)]
pub struct Reader {
    telemetry: Arc<Pool>,
    documents: Arc<Pool>,
}

impl Reader {
    /// Opens the store in a folder to read it, even while another process writes it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Ok(Self {
            telemetry: Arc::new(Pool::open(folder, &TELEMETRY)?),
            documents: Arc::new(Pool::open(folder, &DOCUMENTS)?),
        })
    }
}
