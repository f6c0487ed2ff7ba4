//! The stores of runtimes, opened on first use and closed with the server.

use crate::blocking;
use krt_model::name::Name;
use krt_registry::Folder;
use krt_remote::{Error, Servers, Stores};
use krt_store::Options;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Mutex;

/// The stores of all runtimes.
#[derive(Debug)]
pub(super) struct StoreSet {
    folder: Folder,
    options: Options,
    servers: Servers,
    open: Mutex<HashMap<Name, Arc<Stores>>>,
}

impl StoreSet {
    pub(super) fn new(folder: Folder, options: Options, servers: Servers) -> Self {
        Self { folder, options, servers, open: Mutex::default() }
    }

    /// The stores of a runtime.
    pub(super) async fn open(&self, runtime: &Name) -> Result<Arc<Stores>, Error> {
        let mut open = self.open.lock().await;
        if let Some(stores) = open.get(runtime) {
            return Ok(Arc::clone(stores));
        }
        let (folder, options) = (self.folder.store(runtime), self.options.clone());
        let (servers, id) = (self.servers.clone(), runtime.clone());
        let opened = blocking::run(move || Stores::open(&folder, &options, &servers, id.as_str())).await;
        let stores = Arc::new(opened?);
        open.insert(runtime.clone(), Arc::clone(&stores));
        Ok(stores)
    }

    /// Closes the stores of a runtime, and deletes its databases on servers.
    pub(super) async fn delete(&self, runtime: &Name) -> Result<(), Error> {
        // Held, so that nobody opens them again meanwhile.
        let mut open = self.open.lock().await;
        if let Some(stores) = open.remove(runtime) {
            stores.close().await;
        }
        self.servers.delete(runtime.as_str()).await
    }

    /// Writes what is pending, and closes all stores.
    pub(super) async fn close(&self) {
        let store_set: Vec<_> = self.open.lock().await.drain().map(|(_, stores)| stores).collect();
        for stores in store_set {
            stores.close().await;
        }
    }
}
