//! The stores of runtimes, opened on first use and closed with the server.

use crate::blocking;
use krt_model::name::Name;
use krt_registry::Folder;
use krt_remote::{Error, Servers, Stores};
use krt_store::Options;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Mutex as AsyncMutex;

/// The stores of all runtimes.
#[derive(Debug)]
pub(super) struct StoreSet {
    folder: Folder,
    options: Options,
    servers: Servers,
    open: AsyncMutex<HashMap<Name, Arc<Stores>>>,
    /// The runtimes that are being deleted.
    deleting: Mutex<HashSet<Name>>,
}

/// The deletion of a runtime, whose stores do not open until this is dropped.
#[derive(Debug)]
pub(super) struct Deletion<'a> {
    set: &'a StoreSet,
    runtime: Name,
}

impl StoreSet {
    pub(super) fn new(folder: Folder, options: Options, servers: Servers) -> Self {
        Self { folder, options, servers, open: AsyncMutex::default(), deleting: Mutex::default() }
    }

    /// The stores of a runtime.
    pub(super) async fn open(&self, runtime: &Name) -> Result<Arc<Stores>, Error> {
        let mut open = self.open.lock().await;
        if let Some(stores) = open.get(runtime) {
            return Ok(Arc::clone(stores));
        }
        if self.is_deleting(runtime) {
            return Err(krt_store::Error::Closed.into());
        }
        let (folder, options) = (self.folder.store(runtime), self.options.clone());
        let (servers, id) = (self.servers.clone(), runtime.clone());
        let opened = blocking::run(move || Stores::open(&folder, &options, &servers, id.as_str())).await;
        let stores = Arc::new(opened?);
        open.insert(runtime.clone(), Arc::clone(&stores));
        Ok(stores)
    }

    /// Whether a runtime is being deleted.
    pub(super) fn is_deleting(&self, runtime: &Name) -> bool {
        self.deleting().contains(runtime)
    }

    /// Closes the stores of a runtime, and deletes its databases on servers. Waits for these servers, so it holds up
    /// no other runtime.
    pub(super) async fn delete(&self, runtime: &Name) -> Result<Deletion<'_>, Error> {
        let mut open = self.open.lock().await;
        self.deleting().insert(runtime.clone());
        let deletion = Deletion { set: self, runtime: runtime.clone() };
        let stores = open.remove(runtime);
        drop(open);
        if let Some(stores) = stores {
            stores.close().await;
        }
        self.servers.delete(runtime.as_str()).await?;
        Ok(deletion)
    }

    fn deleting(&self) -> MutexGuard<'_, HashSet<Name>> {
        self.deleting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is pending, and closes all stores.
    pub(super) async fn close(&self) {
        let store_set: Vec<_> = self.open.lock().await.drain().map(|(_, stores)| stores).collect();
        for stores in store_set {
            stores.close().await;
        }
    }
}

impl Drop for Deletion<'_> {
    fn drop(&mut self) {
        self.set.deleting().remove(&self.runtime);
    }
}
