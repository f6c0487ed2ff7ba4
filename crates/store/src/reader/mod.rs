//! Reading a store, from the process that writes it or from any other.
//!
//! - [`documents`]: collections, searches, predictions.
//! - [`measurements`]: what was measured, and points.
//! - [`windows`]: points summed up over windows of time.
//! - [`logs`]: searching and following logs.
//! - [`requests`]: the latest and slowest requests, each with its course.

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

/// Reads a store. Cheap to clone. Methods that are not asynchronous block: call them on a thread
/// where that is allowed.
#[derive(Debug, Clone)]
pub struct Reader {
    telemetry: Arc<Pool>,
    documents: Arc<Pool>,
}

impl Reader {
    /// Opens the store in a folder to read it, also while another process writes it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Ok(Self {
            telemetry: Arc::new(Pool::open(folder, &TELEMETRY)?),
            documents: Arc::new(Pool::open(folder, &DOCUMENTS)?),
        })
    }
}
