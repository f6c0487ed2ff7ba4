//! The versions behind one port: who of them a request is for, and when the last one of a version is done.
//!
//! A version is published and replaced by one change of a table, so that each request goes to the one
//! or the other. Those that went to a version hold it ([`Lease`]) until they have their answers.

use super::Door;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, header::AUTHORIZATION};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;
use tonic::Status;

/// Metadata that say which runtime a request is for.
const RUNTIME: &str = "krt-runtime";
/// Metadata that say which version of it, for those who hold a token.
const VERSION: &str = "krt-version";

/// Tells whether a token lets its holder reach versions that are not published.
pub type Tokens = Box<dyn Fn(String) -> BoxFuture<'static, bool> + Send + Sync>;

/// The versions behind one port.
pub struct Directory {
    table: RwLock<Table>,
    tokens: Tokens,
}

#[derive(Debug, Default)]
struct Table {
    /// By runtime, then by version.
    started: HashMap<String, HashMap<String, Arc<Entrance>>>,
    /// The version that each runtime has published.
    published: HashMap<String, String>,
    /// The runtime that each host name leads to.
    hosts: HashMap<String, String>,
}

/// The way into one version.
#[derive(Debug)]
struct Entrance {
    door: Arc<Door>,
    held: AtomicUsize,
    free: Notify,
}

/// The right to use a version's door until it is dropped.
#[derive(Debug)]
pub struct Lease(Arc<Entrance>);

/// Where a request wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    runtime: Option<String>,
    version: Option<String>,
    host: Option<String>,
}

impl Directory {
    /// No versions yet.
    pub fn new(tokens: Tokens) -> Self {
        Self { table: RwLock::default(), tokens }
    }

    /// A version runs, and may be reached with a token.
    pub fn add(&self, runtime: &str, version: &str, door: Arc<Door>) {
        let entrance = Arc::new(Entrance { door, held: AtomicUsize::new(0), free: Notify::new() });
        let mut table = self.write();
        table.started.entry(runtime.to_owned()).or_default().insert(version.to_owned(), entrance);
    }

    /// A runtime's clients reach this version from now on, or none.
    pub fn publish(&self, runtime: &str, version: Option<&str>) {
        let mut table = self.write();
        match version {
            Some(version) => table.published.insert(runtime.to_owned(), version.to_owned()),
            None => table.published.remove(runtime),
        };
    }

    /// Host names by which runtimes are reached, in the place of those before.
    pub fn set_hosts(&self, hosts: HashMap<String, String>) {
        self.write().hosts = hosts;
    }

    /// Nobody reaches a version any more; returns when those who did have their answers.
    pub async fn remove(&self, runtime: &str, version: &str) {
        let entrance = self.write().remove(runtime, version);
        if let Some(entrance) = entrance {
            entrance.unused().await;
        }
    }

    /// The door that a request is for.
    pub(super) async fn find<B>(&self, request: &Request<B>) -> Result<Lease, Status> {
        let wish = Wish::of(request);
        if wish.version.is_some() && !self.may_choose(request.headers()).await {
            return Err(Status::unauthenticated(format!(
                "`{VERSION}` is for those who hold a token; hint: send the metadata `authorization: Bearer TOKEN`"
            )));
        }
        self.read().find(&wish)
    }

    /// The door of a version that runs.
    pub fn lease(&self, runtime: &str, version: &str) -> Option<Lease> {
        let table = self.read();
        table.started.get(runtime)?.get(version).map(Lease::new)
    }

    async fn may_choose(&self, headers: &HeaderMap) -> bool {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        match token {
            Some(token) => (self.tokens)(token.to_owned()).await,
            None => false,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("table", &*self.read()).finish_non_exhaustive()
    }
}

impl Table {
    /// Takes the lease while the table cannot change: who removes a version sees all who hold it.
    fn find(&self, wish: &Wish) -> Result<Lease, Status> {
        let runtime = self.runtime(wish)?;
        let version = match (&wish.version, self.published.get(runtime)) {
            (Some(version), _) => version,
            (None, Some(version)) => version,
            (None, None) => {
                return Err(Status::unavailable(format!(
                    "no version of the runtime `{runtime}` is published"
                )));
            }
        };
        let entrance = self.started.get(runtime).and_then(|versions| versions.get(version));
        entrance.map(Lease::new).ok_or_else(|| {
            Status::unavailable(format!("the version `{version}` of the runtime `{runtime}` does not run"))
        })
    }

    /// The runtime that is named, or that the host name leads to, or the only one that there is: that is
    /// published or, for who names a version, runs.
    fn runtime<'a>(&'a self, wish: &'a Wish) -> Result<&'a str, Status> {
        if let Some(runtime) = &wish.runtime {
            let known = self.published.contains_key(runtime) || self.started.contains_key(runtime);
            return match known {
                true => Ok(runtime),
                false => Err(Status::unavailable(format!("nothing of a runtime `{runtime}` runs here"))),
            };
        }
        if let Some(runtime) = wish.host.as_ref().and_then(|host| self.hosts.get(host)) {
            return Ok(runtime);
        }
        let (mut published, mut started) = (self.published.keys(), self.started.keys());
        let there: &mut dyn Iterator<Item = &String> =
            if wish.version.is_some() { &mut started } else { &mut published };
        match (there.next(), there.next()) {
            (Some(only), None) => Ok(only),
            (None, _) if wish.version.is_some() => Err(Status::unavailable("nothing runs here")),
            (None, _) => Err(Status::unavailable("nothing is published here")),
            (Some(_), Some(_)) => Err(Status::invalid_argument(format!(
                "several runtimes are here; hint: name one by the metadata `{RUNTIME}`, or by its host name"
            ))),
        }
    }

    fn remove(&mut self, runtime: &str, version: &str) -> Option<Arc<Entrance>> {
        if self.published.get(runtime).is_some_and(|published| published == version) {
            self.published.remove(runtime);
        }
        let versions = self.started.get_mut(runtime)?;
        let entrance = versions.remove(version);
        if versions.is_empty() {
            self.started.remove(runtime);
        }
        entrance
    }
}

impl Wish {
    fn of<B>(request: &Request<B>) -> Self {
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let host = request.uri().host().or_else(|| text("host").map(without_port));
        Self {
            runtime: text(RUNTIME).map(str::to_owned),
            version: text(VERSION).map(str::to_owned),
            host: host.map(str::to_ascii_lowercase),
        }
    }
}

/// The host of an authority.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The token of an `authorization` header.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Entrance {
    async fn unused(&self) {
        loop {
            let free = self.free.notified();
            if self.held.load(Ordering::Acquire) == 0 {
                return;
            }
            free.await;
        }
    }
}

impl Lease {
    fn new(entrance: &Arc<Entrance>) -> Self {
        entrance.held.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(entrance))
    }

    /// The version's door.
    pub fn door(&self) -> &Arc<Door> {
        &self.0.door
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.0.held.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.free.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
