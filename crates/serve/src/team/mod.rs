//! Runtimes and versions at work: what the registry says should run, runs.
//!
//! - [`site`]: a runtime's stores.
//! - [`work`]: one version at work, from its start to its end.
//! - [`upload`]: packages that come in.
//! - [`events`]: what changes, told live.
//! - [`outside`]: what the command brings: how nodes are started, and what versions are held to.
//!
//! A change of a version is first noted in the registry, then done, both in one turn: what is noted and
//! what is done are in the same order.

pub mod events;
pub mod outside;
mod site;
mod upload;
mod work;

pub use events::{Event, Kind};
pub use outside::{Outside, Prepare, Prepared};
pub use site::Site;
pub use upload::{Incoming, UploadError};
pub(crate) use upload::{README, describe};

use crate::blocking;
use events::Events;
use krt_model::name::Name;
use krt_package::Package;
use krt_registry::{
    Actor, Error, Registry, Role, RuntimeChange, State, Version,
    state::{Ask, Event as Happening},
};
use krt_runtime::{
    Engine,
    entry::{Directory, Lease},
    logs::Logs,
    node::Lifeline,
};
use site::Sites;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{Mutex as Turns, broadcast};
use tokio_util::sync::CancellationToken;
use work::Work;

/// A runtime and a version of it.
pub(crate) type Key = (Name, Name);

/// Runtimes and versions at work.
#[derive(Debug)]
pub struct Team {
    registry: Arc<Registry>,
    directory: Arc<Directory>,
    sites: Sites,
    works: Mutex<HashMap<Key, Work>>,
    /// Held while a change is noted and done.
    turns: Turns<()>,
    events: Events,
    outside: Outside,
    logs: Logs,
    lifeline: Arc<Lifeline>,
    /// Cancelled when the server ends: versions then end as well, but should run again.
    ended: CancellationToken,
}

impl Team {
    /// A team of what a registry remembers; nothing runs yet.
    pub fn new(registry: Arc<Registry>, outside: Outside, logs: Logs, lifeline: Arc<Lifeline>) -> Arc<Self> {
        let tokens = Arc::clone(&registry);
        let directory = Directory::new(Box::new(move |token| {
            let registry = Arc::clone(&tokens);
            Box::pin(blocking::run(move || matches!(registry.by_token(&token), Ok(Some(_)))))
        }));
        Arc::new(Self {
            sites: Sites::new(registry.folder().clone(), outside.store.clone()),
            registry,
            directory: Arc::new(directory),
            works: Mutex::default(),
            turns: Turns::default(),
            events: Events::default(),
            outside,
            logs,
            lifeline,
            ended: CancellationToken::new(),
        })
    }

    /// What the team remembers.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What stands behind the public port.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// What changes, from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.listen()
    }

    /// Tells those who listen of a change.
    pub fn tell(&self, event: Event) {
        self.events.tell(event);
    }

    /// Asks the registry something.
    pub async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Registry) -> T + Send + 'static) -> T {
        let registry = Arc::clone(&self.registry);
        blocking::run(move || ask(&registry)).await
    }

    /// Starts what ran when the server ended.
    pub async fn boot(self: &Arc<Self>) -> Result<(), Error> {
        let _turn = self.turns.lock().await;
        self.set_hosts().await?;
        for version in self.ask(Registry::boot).await? {
            if let Some(key) = key(&version) {
                tracing::info!("starting `{}` of `{}` again", version.name, version.runtime);
                self.begin(key);
            }
        }
        Ok(())
    }

    /// Ends all versions, which are to run again when the server does.
    pub async fn end(&self) {
        self.ended.cancel();
        let works: Vec<_> = self.lock().drain().map(|(_, work)| work).collect();
        for work in works {
            work.ended().await;
        }
    }

    /// Closes the stores: nothing is in work any more.
    pub async fn close(&self) {
        self.sites.close().await;
    }

    /// Cancelled when the server ends.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Does what somebody asks of a version.
    pub async fn change(
        self: &Arc<Self>,
        actor: Actor,
        runtime: Name,
        version: Name,
        ask: Ask,
    ) -> Result<Version, Error> {
        let _turn = self.turns.lock().await;
        let key = (runtime, version);
        let (runtime, version) = key.clone();
        let changed = self.ask(move |registry| registry.ask(&actor, &runtime, &version, ask)).await?;
        match ask {
            Ask::Start => self.begin(key.clone()),
            Ask::Stop => self.stop(&key),
            Ask::Publish => self.directory.publish(key.0.as_str(), Some(key.1.as_str())),
            Ask::Unpublish => self.directory.publish(key.0.as_str(), None),
            Ask::Delete => {}
        }
        match ask {
            Ask::Delete => self.tell(Event::deleted(&key.0, Some(&key.1))),
            Ask::Publish => self.tell_all(&key.0).await,
            _ => self.tell(Event::version(&changed)),
        }
        Ok(changed)
    }

    /// Publishes the version that was published before.
    pub async fn roll_back(self: &Arc<Self>, actor: Actor, runtime: Name) -> Result<Version, Error> {
        let _turn = self.turns.lock().await;
        let of = runtime.clone();
        let changed = self.ask(move |registry| registry.roll_back(&actor, &of)).await?;
        if let Some(key) = key(&changed) {
            match changed.state {
                State::Published => self.directory.publish(key.0.as_str(), Some(key.1.as_str())),
                _ if self.lock().contains_key(&key) => {}
                _ => self.begin(key),
            }
        }
        self.tell_all(&runtime).await;
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
        let changed = self.ask(move |registry| registry.change_runtime(&actor, &id, &change)).await?;
        self.set_hosts().await?;
        self.tell(Event::runtime(&runtime));
        Ok(changed)
    }

    /// Makes a runtime.
    pub async fn create_runtime(
        &self,
        actor: Actor,
        new: krt_registry::NewRuntime,
    ) -> Result<krt_registry::Runtime, Error> {
        let made = self.ask(move |registry| registry.create_runtime(&actor, &new)).await?;
        self.set_hosts().await?;
        if let Ok(id) = Name::parse(&made.id) {
            self.tell(Event::runtime(&id));
        }
        Ok(made)
    }

    /// Removes a runtime with all that it stored.
    pub async fn delete_runtime(&self, actor: Actor, runtime: Name) -> Result<(), Error> {
        let _turn = self.turns.lock().await;
        let id = runtime.clone();
        let found = self.ask(move |registry| registry.runtime(&id)).await?;
        if found
            .states
            .keys()
            .any(|state| matches!(*state, "STARTING" | "STARTED" | "PUBLISHED" | "STOPPING"))
        {
            return Err(Error::Runs { version: format!("a version of `{runtime}`") });
        }
        self.sites.forget(&runtime).await;
        let id = runtime.clone();
        self.ask(move |registry| registry.delete_runtime(&actor, &id)).await?;
        self.set_hosts().await?;
        self.tell(Event::deleted(&runtime, None));
        Ok(())
    }

    /// The stores of a runtime, which must be there.
    pub async fn site(&self, runtime: &Name) -> Result<Arc<Site>, crate::house::Error> {
        let id = runtime.clone();
        self.ask(move |registry| registry.runtime(&id)).await?;
        Ok(self.sites.open(runtime).await?)
    }

    /// A version that runs, held until it is dropped.
    pub fn lease(&self, runtime: &Name, version: &Name) -> Option<Lease> {
        self.directory.lease(runtime.as_str(), version.as_str())
    }

    /// The parts of a version that starts or runs.
    pub fn engine(&self, runtime: &Name, version: &Name) -> Option<Arc<Engine>> {
        let key = (runtime.clone(), version.clone());
        self.lock().get(&key).and_then(Work::engine)
    }

    /// The parts of all versions of a runtime that start or run.
    pub fn engines(&self, runtime: &Name) -> Vec<Arc<Engine>> {
        let works = self.lock();
        works.iter().filter(|(key, _)| key.0 == *runtime).filter_map(|(_, work)| work.engine()).collect()
    }

    /// A version's package: of one that runs what it runs, of others what lies on disk.
    pub async fn package(&self, runtime: &Name, version: &Name) -> Result<Arc<Package>, crate::house::Error> {
        if let Some(engine) = self.engine(runtime, version) {
            return Ok(Arc::clone(engine.package()));
        }
        let (of, name) = (runtime.clone(), version.clone());
        self.ask(move |registry| registry.version(&of, &name)).await?;
        let place = self.registry.folder().version(runtime, version);
        let loaded = blocking::run(move || krt_package::load(&place.package())).await;
        Ok(Arc::new(loaded?))
    }

    /// Whose token it is, and what its holder may do.
    pub async fn by_token(&self, token: String) -> Result<Option<(String, Role)>, Error> {
        self.ask(move |registry| registry.by_token(&token)).await
    }

    fn begin(self: &Arc<Self>, key: Key) {
        // Locked meanwhile: a work that fails at once is forgotten after it is known.
        let mut works = self.lock();
        let work = Work::start(Arc::clone(self), key.clone());
        works.insert(key, work);
    }

    fn stop(&self, key: &Key) {
        if let Some(work) = self.lock().get(key) {
            work.stop();
        }
    }

    /// Notes what happened to a version, and lets clients reach it where it is now published.
    async fn happened(&self, key: &Key, happening: Happening, reasons: Vec<String>) {
        let _turn = self.turns.lock().await;
        let (runtime, version) = key.clone();
        let noted =
            self.ask(move |registry| registry.happened(&runtime, &version, happening, &reasons)).await;
        match noted {
            Ok(version) if version.state == State::Published => {
                self.directory.publish(key.0.as_str(), Some(key.1.as_str()));
                self.tell_all(&key.0).await;
            }
            Ok(version) => self.tell(Event::version(&version)),
            Err(error) => tracing::error!("what happened to `{}` cannot be noted: {error}", key.1),
        }
    }

    /// Tells of every version of a runtime: one took another's place.
    async fn tell_all(&self, runtime: &Name) {
        let of = runtime.clone();
        if let Ok(versions) = self.ask(move |registry| registry.versions(&of)).await {
            versions.iter().for_each(|version| self.tell(Event::version(version)));
        }
        self.tell(Event::runtime(runtime));
    }

    async fn set_hosts(&self) -> Result<(), Error> {
        let runtimes = self.ask(Registry::runtimes).await?;
        let hosts = runtimes.into_iter().flat_map(|runtime| {
            let id = runtime.id;
            runtime.hosts.into_iter().map(move |host| (host, id.clone()))
        });
        self.directory.set_hosts(hosts.collect());
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Work>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A work has ended: it is nobody's any more.
    fn forget(&self, key: &Key, engine: &Weak<Engine>) {
        let mut works = self.lock();
        if works.get(key).is_some_and(|work| work.is(engine)) {
            works.remove(key);
        }
    }
}

/// The names of a version that was read.
fn key(version: &Version) -> Option<Key> {
    Some((Name::parse(&version.runtime).ok()?, Name::parse(&version.name).ok()?))
}

#[cfg(test)]
pub(crate) mod tests;
