//! A runtime's stores, opened on first use and closed with the server.

use crate::blocking;
use krt_model::name::Name;
use krt_registry::Folder;
use krt_remote::Documents;
use krt_store::{Error, Options, Store, Writer};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Mutex;

/// The stores of a runtime's measurements, documents, predictions, logs and requests.
#[derive(Debug)]
pub struct RuntimeStores {
    /// Measurements, logs and requests.
    pub store: Store,
    /// Documents and predictions.
    pub documents: Documents,
    writer: Mutex<Option<Writer>>,
}

/// The stores of all runtimes.
#[derive(Debug)]
pub(super) struct StoreSet {
    folder: Folder,
    options: Options,
    open: Mutex<HashMap<Name, Arc<RuntimeStores>>>,
}

impl StoreSet {
    pub(super) fn new(folder: Folder, options: Options) -> Self {
        Self { folder, options, open: Mutex::default() }
    }

    /// The stores of a runtime.
    pub(super) async fn open(&self, runtime: &Name) -> Result<Arc<RuntimeStores>, Error> {
        let mut open = self.open.lock().await;
        if let Some(stores) = open.get(runtime) {
            return Ok(Arc::clone(stores));
        }
        let (folder, options) = (self.folder.store(runtime), self.options.clone());
        let (store, writer) = blocking::run(move || Store::open(&folder, &options)).await?;
        let documents = Documents::Embedded(store.clone());
        let stores = Arc::new(RuntimeStores { store, documents, writer: Mutex::new(Some(writer)) });
        open.insert(runtime.clone(), Arc::clone(&stores));
        Ok(stores)
    }

    /// Closes the stores of a deleted runtime.
    pub(super) async fn forget(&self, runtime: &Name) {
        let stores = self.open.lock().await.remove(runtime);
        if let Some(stores) = stores {
            stores.close().await;
        }
    }

    /// Writes what is pending, and closes all stores.
    pub(super) async fn close(&self) {
        let store_set: Vec<_> = self.open.lock().await.drain().map(|(_, stores)| stores).collect();
        for stores in store_set {
            stores.close().await;
        }
    }
}

impl RuntimeStores {
    /// Stores that their owner closes elsewhere.
    pub fn borrowed(store: Store, documents: Documents) -> Self {
        Self { store, documents, writer: Mutex::new(None) }
    }

    async fn close(&self) {
        if let Some(writer) = self.writer.lock().await.take() {
            blocking::run(move || writer.close()).await;
        }
    }
}
