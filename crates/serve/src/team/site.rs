//! A runtime's stores: opened when first needed, closed with the server.

use crate::blocking;
use krt_model::name::Name;
use krt_registry::Folder;
use krt_remote::Documents;
use krt_store::{Error, Options, Store, Writer};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Mutex;

/// Where a runtime's measurements, documents, predictions, logs and requests are.
#[derive(Debug)]
pub struct Site {
    /// Measurements, logs and requests.
    pub store: Store,
    /// Documents and predictions.
    pub documents: Documents,
    writer: Mutex<Option<Writer>>,
}

/// The stores of all runtimes.
#[derive(Debug)]
pub(super) struct Sites {
    folder: Folder,
    options: Options,
    open: Mutex<HashMap<Name, Arc<Site>>>,
}

impl Sites {
    pub(super) fn new(folder: Folder, options: Options) -> Self {
        Self { folder, options, open: Mutex::default() }
    }

    /// The stores of a runtime.
    pub(super) async fn open(&self, runtime: &Name) -> Result<Arc<Site>, Error> {
        let mut open = self.open.lock().await;
        if let Some(site) = open.get(runtime) {
            return Ok(Arc::clone(site));
        }
        let (folder, options) = (self.folder.store(runtime), self.options.clone());
        let (store, writer) = blocking::run(move || Store::open(&folder, &options)).await?;
        let documents = Documents::Embedded(store.clone());
        let site = Arc::new(Site { store, documents, writer: Mutex::new(Some(writer)) });
        open.insert(runtime.clone(), Arc::clone(&site));
        Ok(site)
    }

    /// Closes the stores of a runtime that is removed.
    pub(super) async fn forget(&self, runtime: &Name) {
        let site = self.open.lock().await.remove(runtime);
        if let Some(site) = site {
            site.close().await;
        }
    }

    /// Writes what waits, and ends.
    pub(super) async fn close(&self) {
        let sites: Vec<_> = self.open.lock().await.drain().map(|(_, site)| site).collect();
        for site in sites {
            site.close().await;
        }
    }
}

impl Site {
    /// Stores that somebody else closes.
    pub fn borrowed(store: Store, documents: Documents) -> Self {
        Self { store, documents, writer: Mutex::new(None) }
    }

    async fn close(&self) {
        if let Some(writer) = self.writer.lock().await.take() {
            blocking::run(move || writer.close()).await;
        }
    }
}
