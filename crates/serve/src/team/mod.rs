//! Keeps the runtimes and versions running that the registry says should run.
//!
//! - [`stores`]: a runtime's stores.
//! - [`task`]: one version at work, from its start to its end.
//! - [`packages`]: loads packages in processes of their own.
//! - [`upload`]: packages that are uploaded.
//! - [`events`]: live events.
//! - [`retention`]: how long the audit log is kept.
//! - `watch`: ends streams with the identity that opened them.
//! - [`launch`]: what the command passes in: how nodes start, and the limits of versions.
//!
//! A change of a version is recorded in the registry, then carried out, both in one turn, so that records and
//! actions have the same order.

pub mod events;
pub mod launch;
mod packages;
pub mod retention;
mod stores;
mod task;
mod upload;
pub(crate) mod watch;

pub use events::Event;
pub use launch::{LaunchConfig, Prepare, Prepared};
pub(crate) use upload::{Files, README, describe};
pub use upload::{Incoming, UploadError};

use crate::blocking;
use events::Events;
use krt_model::{
    hint,
    name::Name,
    team::{Role, State, VersionAction},
};
use krt_package::Package;
use krt_registry::{
    Actor, Credential, Error, Identity, Noun, Registry, RuntimeChange, TokenUser, Version,
    state::Event as VersionEvent,
};
use krt_remote::Stores;
use krt_runtime::{
    Engine,
    ingress::{Directory, Grant, Lease, VersionScope},
    logs::Logs,
    nats::{self, ServerState},
    node::Lifeline,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use stores::StoreSet;
use task::VersionTask;
use tokio::sync::{Mutex as Turns, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

/// A runtime and a version of it.
pub(crate) type Key = (Name, Name);

/// Runtimes and versions at work.
#[derive(Debug)]
pub struct Team {
    registry: Arc<Registry>,
    directory: Arc<Directory>,
    store_set: StoreSet,
    works: Mutex<HashMap<Key, VersionTask>>,
    /// Held while a change is recorded and carried out.
    turns: Turns<()>,
    events: Events,
    uploads: Semaphore,
    launch: LaunchConfig,
    logs: Logs,
    lifeline: Arc<Lifeline>,
    /// Cancelled when the server ends: versions then end as well, and run again after a restart.
    ended: CancellationToken,
}

impl Team {
    /// A team from a registry; runs nothing yet.
    pub fn new(
        registry: Arc<Registry>,
        launch: LaunchConfig,
        logs: Logs,
        lifeline: Arc<Lifeline>,
    ) -> Arc<Self> {
        let tokens = Arc::clone(&registry);
        let directory = Directory::new(Box::new(move |token| {
            let registry = Arc::clone(&tokens);
            Box::pin(grant(registry, token))
        }));
        Arc::new(Self {
            store_set: StoreSet::new(registry.folder().clone(), launch.store.clone(), launch.servers.clone()),
            registry,
            directory: Arc::new(directory),
            works: Mutex::default(),
            turns: Turns::default(),
            events: Events::default(),
            uploads: Semaphore::new(upload::MAX_CONCURRENT),
            launch,
            logs,
            lifeline,
            ended: CancellationToken::new(),
        })
    }

    /// The registry.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The versions behind the public listener.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Subscribes to changes from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.listen()
    }

    /// Publishes a change to subscribers.
    pub fn notify(&self, event: Event) {
        self.events.notify(event);
    }

    /// Runs a query on the registry.
    pub async fn with_registry<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Registry) -> T + Send + 'static,
    ) -> T {
        let registry = Arc::clone(&self.registry);
        blocking::run(move || query(&registry)).await
    }

    /// Starts the versions that ran when the server ended.
    pub async fn boot(self: &Arc<Self>) -> Result<(), Error> {
        let _turn = self.turns.lock().await;
        self.set_hosts().await?;
        for version in self.with_registry(Registry::boot).await? {
            if let Some(key) = key(&version) {
                tracing::info!("starting `{}` of `{}` again", version.name, version.runtime);
                self.start_version(key, version.is_to_be_published());
            }
        }
        Ok(())
    }

    /// Ends all versions; they run again after a restart.
    pub async fn end(&self) {
        self.ended.cancel();
        let works: Vec<_> = self.lock().drain().map(|(_, work)| work).collect();
        for work in works {
            work.ended().await;
        }
    }

    /// Closes the stores, once nothing is in flight.
    pub async fn close(&self) {
        self.store_set.close().await;
        if let Some(nats) = &self.launch.nats {
            nats.close().await;
        }
    }

    /// Cancelled when the server ends.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Carries out a user's change of a version.
    pub async fn change(
        self: &Arc<Self>,
        actor: Actor,
        runtime: Name,
        version: Name,
        action: VersionAction,
    ) -> Result<Version, crate::Error> {
        let _turn = self.turns.lock().await;
        let key = (runtime, version);
        if action == VersionAction::Delete {
            self.delete_messages(&key).await?;
        }
        let (runtime, version) = key.clone();
        let changed =
            self.with_registry(move |registry| registry.act(&actor, &runtime, &version, action)).await?;
        match action {
            VersionAction::Start => self.start_version(key.clone(), false),
            VersionAction::Stop => self.stop(&key),
            VersionAction::Publish => self.directory.publish(key.0.as_str(), Some(key.1.as_str())),
            VersionAction::Unpublish => self.directory.publish(key.0.as_str(), None),
            VersionAction::Delete => {}
        }
        match action {
            VersionAction::Delete => self.notify(Event::deleted(&key.0, Some(&key.1))),
            VersionAction::Publish => self.notify_all(&key.0).await,
            _ => self.notify(Event::version(&changed)),
        }
        Ok(changed)
    }

    /// Deletes what NATS stores for a version that is about to be deleted: messages and dead letters.
    async fn delete_messages(&self, key: &Key) -> Result<(), crate::Error> {
        let Some(nats) = &self.launch.nats else { return Ok(()) };
        let (runtime, version) = key.clone();
        let found = self.with_registry(move |registry| registry.version(&runtime, &version)).await?;
        // The registry refuses to delete the others.
        if found.actions.contains(&VersionAction::Delete) {
            nats.remove(&key.0, Some(&key.1)).await?;
        }
        Ok(())
    }

    /// Publishes the previously published version.
    pub async fn roll_back(self: &Arc<Self>, actor: Actor, runtime: Name) -> Result<Version, Error> {
        let _turn = self.turns.lock().await;
        let of = runtime.clone();
        let changed = self.with_registry(move |registry| registry.roll_back(&actor, &of)).await?;
        if let Some(key) = key(&changed) {
            match changed.state {
                State::Published => self.directory.publish(key.0.as_str(), Some(key.1.as_str())),
                _ if self.lock().contains_key(&key) => {}
                _ => self.start_version(key, true),
            }
        }
        self.notify_all(&runtime).await;
        Ok(changed)
    }

    /// Changes a runtime.
    pub async fn change_runtime(
        &self,
        actor: Actor,
        runtime: Name,
        change: RuntimeChange,
    ) -> Result<krt_registry::Runtime, Error> {
        let id = runtime.clone();
        let changed =
            self.with_registry(move |registry| registry.change_runtime(&actor, &id, &change)).await?;
        self.set_hosts().await?;
        self.notify(Event::runtime(&runtime));
        Ok(changed)
    }

    /// Creates a runtime.
    pub async fn create_runtime(
        &self,
        actor: Actor,
        new: krt_registry::NewRuntime,
    ) -> Result<krt_registry::Runtime, Error> {
        let made = self.with_registry(move |registry| registry.create_runtime(&actor, &new)).await?;
        self.set_hosts().await?;
        if let Ok(id) = Name::parse(&made.id) {
            self.notify(Event::runtime(&id));
        }
        Ok(made)
    }

    /// Deletes a runtime with all its data, also on the servers of remote stores. If one of them fails, the runtime
    /// stays, and a later attempt deletes what is left.
    pub async fn delete_runtime(&self, actor: Actor, runtime: Name) -> Result<(), crate::Error> {
        let _turn = self.turns.lock().await;
        let id = runtime.clone();
        let found = self.with_registry(move |registry| registry.runtime(&id)).await?;
        let runs = |state: &State| {
            matches!(state, State::Starting | State::Started | State::Published | State::Stopping)
        };
        if found.states.keys().any(runs) {
            return Err(Error::Runs { version: format!("a version of `{runtime}`") }.into());
        }
        if let Some(nats) = &self.launch.nats {
            nats.remove(&runtime, None).await?;
        }
        // Until the registry has forgotten the runtime, too.
        let _deletion = self.store_set.delete(&runtime).await?;
        let id = runtime.clone();
        self.with_registry(move |registry| registry.delete_runtime(&actor, &id)).await?;
        self.set_hosts().await?;
        self.notify(Event::deleted(&runtime, None));
        Ok(())
    }

    /// The stores of a runtime; fails when it does not exist.
    pub async fn stores(&self, runtime: &Name) -> Result<Arc<Stores>, crate::Error> {
        let id = runtime.clone();
        self.with_registry(move |registry| registry.runtime(&id)).await?;
        if self.store_set.is_deleting(runtime) {
            return Err(crate::Error::missing(Noun::Runtime, runtime.as_str()));
        }
        Ok(self.store_set.open(runtime).await?)
    }

    /// The state of the NATS server that connects the nodes of versions, if one does.
    pub fn nats(&self) -> Option<ServerState> {
        self.launch.nats.as_ref().map(nats::Server::state)
    }

    /// A lease on a running version, until it is dropped.
    pub fn lease(&self, runtime: &Name, version: &Name) -> Option<Lease> {
        self.directory.lease(runtime.as_str(), version.as_str())
    }

    /// The engine of a version that starts or runs.
    pub fn engine(&self, runtime: &Name, version: &Name) -> Option<Arc<Engine>> {
        let key = (runtime.clone(), version.clone());
        self.lock().get(&key).and_then(VersionTask::engine)
    }

    /// The engines of all versions of a runtime that start or run.
    pub fn engines(&self, runtime: &Name) -> Vec<Arc<Engine>> {
        let works = self.lock();
        works.iter().filter(|(key, _)| key.0 == *runtime).filter_map(|(_, work)| work.engine()).collect()
    }

    /// A version's package: the running one, or the one on disk.
    pub async fn package(&self, runtime: &Name, version: &Name) -> Result<Arc<Package>, crate::Error> {
        if let Some(engine) = self.engine(runtime, version) {
            return Ok(Arc::clone(engine.package()));
        }
        let (of, name) = (runtime.clone(), version.clone());
        self.with_registry(move |registry| registry.version(&of, &name)).await?;
        let place = self.registry.folder().version(runtime, version);
        Ok(Arc::new(packages::load(place.package()).await?))
    }

    /// The user of a token.
    pub async fn by_token(&self, token: String) -> Result<Option<TokenUser>, Error> {
        self.with_registry(move |registry| registry.by_token(&token)).await
    }

    /// Starts a version. Until it runs, its clients learn that it is starting; where it will be `published`,
    /// so do all clients of its runtime that reach no other version.
    fn start_version(self: &Arc<Self>, key: Key, published: bool) {
        self.directory.expect(key.0.as_str(), key.1.as_str(), published);
        // Locked until the task is known, so that one that fails at once is forgotten after that.
        let mut works = self.lock();
        let work = VersionTask::start(Arc::clone(self), key.clone());
        works.insert(key, work);
    }

    fn stop(&self, key: &Key) {
        if let Some(work) = self.lock().get(key) {
            work.stop();
        }
    }

    /// Records what happened to a version, and routes clients to it where it is now published.
    async fn record_event(&self, key: &Key, happening: VersionEvent, reasons: Vec<String>) {
        let _turn = self.turns.lock().await;
        let (runtime, version) = key.clone();
        let noted = self
            .with_registry(move |registry| registry.record_event(&runtime, &version, happening, &reasons))
            .await;
        match noted {
            Ok(version) if version.state == State::Published => {
                self.directory.publish(key.0.as_str(), Some(key.1.as_str()));
                self.notify_all(&key.0).await;
            }
            Ok(version) => self.notify(Event::version(&version)),
            Err(error) => {
                tracing::error!("what happened to `{}` cannot be noted: {}", key.1, hint::line(&error));
            }
        }
    }

    /// Publishes an event for every version of a runtime, after one replaced another.
    async fn notify_all(&self, runtime: &Name) {
        let of = runtime.clone();
        if let Ok(versions) = self.with_registry(move |registry| registry.versions(&of)).await {
            versions.iter().for_each(|version| self.notify(Event::version(version)));
        }
        self.notify(Event::runtime(runtime));
    }

    async fn set_hosts(&self) -> Result<(), Error> {
        let runtimes = self.with_registry(Registry::runtimes).await?;
        let hosts = runtimes.into_iter().flat_map(|runtime| {
            let id = runtime.id;
            runtime.hosts.into_iter().map(move |host| (host, id.clone()))
        });
        self.directory.set_hosts(hosts.collect());
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, VersionTask>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a task that has ended.
    fn forget(&self, key: &Key, engine: &Weak<Engine>) {
        let mut works = self.lock();
        if works.get(key).is_some_and(|work| work.is(engine)) {
            works.remove(key);
        }
    }
}

/// The versions that a token gives access to: unpublished ones require a user who may try them in the
/// dashboard.
async fn grant(registry: Arc<Registry>, token: String) -> Option<Grant> {
    let of = Arc::clone(&registry);
    let found = blocking::run(move || of.by_token(&token)).await;
    let TokenUser { id, login, role } = found.unwrap_or_else(|error| {
        tracing::error!("a token cannot be looked up: {}", hint::line(&error));
        None
    })?;
    let (scope, needed) = match role >= Role::Manager {
        true => (VersionScope::Everything, Role::Manager),
        false => (VersionScope::Published, Role::Viewer),
    };
    let identity = Identity { login, role: needed, credential: Credential::Token(id) };
    let ended = Box::pin(async move { drop(watch::ended(registry, identity).await) });
    Some(Grant { scope, ended })
}

/// The runtime's and the version's name.
fn key(version: &Version) -> Option<Key> {
    Some((Name::parse(&version.runtime).ok()?, Name::parse(&version.name).ok()?))
}

#[cfg(test)]
pub(crate) mod tests;
