//! The versions behind one port: routes each request to one, and waits until a removed one is unused.
//!
//! One change of a table publishes a version in place of another, so each request goes to one of the two. A
//! request holds its version ([`Lease`]) until it has its answer.

use super::{Ingress, status::with_hint};
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
use tonic::{Code, Status};

/// Metadata that names the runtime of a request.
const RUNTIME: &str = "krt-runtime";
/// Metadata that names the version, for holders of a token.
const VERSION: &str = "krt-version";

/// The versions that a request may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionScope {
    /// None.
    Nothing,
    /// The published one, which needs no name.
    Published,
    /// All that run.
    Everything,
}

/// The rights of a token.
pub struct Grant {
    /// The versions that its holder may name.
    pub scope: VersionScope,
    /// Resolves when the token loses these rights, which ends its streams.
    pub ended: BoxFuture<'static, ()>,
}

/// Returns the rights of a token; `None` if it is invalid.
pub type Tokens = Box<dyn Fn(String) -> BoxFuture<'static, Option<Grant>> + Send + Sync>;

/// The versions behind one port.
pub struct Directory {
    table: RwLock<Table>,
    tokens: Tokens,
}

#[derive(Debug, Default)]
struct Table {
    /// By runtime, then by version; `None` for a version that is starting.
    started: HashMap<String, HashMap<String, Option<Arc<VersionEntry>>>>,
    /// The published version of each runtime.
    published: HashMap<String, String>,
    /// The runtime of each host name.
    hosts: HashMap<String, String>,
}

/// A version's ingress and its users.
#[derive(Debug)]
struct VersionEntry {
    ingress: Arc<Ingress>,
    held: AtomicUsize,
    free: Notify,
}

/// The right to use a version's ingress until it is dropped.
#[derive(Debug)]
pub struct Lease(Arc<VersionEntry>);

/// The version found for a request.
#[derive(Debug)]
pub(super) enum FoundVersion {
    /// It is up: its ingress.
    Running(Lease),
    /// It is starting: the status for clients.
    Starting(Status),
}

/// The target that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RouteTarget {
    runtime: Option<String>,
    version: Option<String>,
    host: Option<String>,
}

impl Directory {
    /// Creates an empty directory.
    pub fn new(tokens: Tokens) -> Self {
        Self { table: RwLock::default(), tokens }
    }

    /// Announces a version that is starting. With `published`, the runtime's clients get its status too,
    /// unless another version is published.
    pub fn expect(&self, runtime: &str, version: &str, published: bool) {
        let mut table = self.write();
        table.started.entry(runtime.to_owned()).or_default().insert(version.to_owned(), None);
        if published {
            table.published.entry(runtime.to_owned()).or_insert_with(|| version.to_owned());
        }
    }

    /// Adds a version, reachable with a token. Its ingress decides whether to admit requests.
    pub fn add(&self, runtime: &str, version: &str, ingress: Arc<Ingress>) {
        let entry = Arc::new(VersionEntry { ingress, held: AtomicUsize::new(0), free: Notify::new() });
        let mut table = self.write();
        table.started.entry(runtime.to_owned()).or_default().insert(version.to_owned(), Some(entry));
    }

    /// Publishes a version to a runtime's clients, or none.
    pub fn publish(&self, runtime: &str, version: Option<&str>) {
        let mut table = self.write();
        match version {
            Some(version) => table.published.insert(runtime.to_owned(), version.to_owned()),
            None => table.published.remove(runtime),
        };
    }

    /// Replaces the host names of the runtimes.
    pub fn set_hosts(&self, hosts: HashMap<String, String>) {
        self.write().hosts = hosts;
    }

    /// Returns whether a host name belongs to a runtime.
    pub(super) fn has_host(&self, host: &str) -> bool {
        self.read().hosts.contains_key(host)
    }

    /// Removes a version; returns when its current users have their answers.
    pub async fn remove(&self, runtime: &str, version: &str) {
        let entry = self.write().remove(runtime, version);
        if let Some(entry) = entry {
            entry.unused().await;
        }
    }

    /// Returns the version for a request, and the event that ends the right to it, if any.
    pub(super) async fn find<B>(
        &self,
        request: &Request<B>,
    ) -> Result<(FoundVersion, Option<BoxFuture<'static, ()>>), Status> {
        let target = RouteTarget::of(request);
        if target.version.is_none() {
            return Ok((self.read().find(&target, VersionScope::Published)?, None));
        }
        let grant = self.grant(request.headers()).await;
        let scope = grant.as_ref().map_or(VersionScope::Nothing, |grant| grant.scope);
        let found = self.read().find(&target, scope)?;
        Ok((found, grant.map(|grant| grant.ended)))
    }

    /// Returns a lease of a version that runs.
    pub fn lease(&self, runtime: &str, version: &str) -> Option<Lease> {
        let table = self.read();
        table.started.get(runtime)?.get(version)?.as_ref().map(Lease::new)
    }

    async fn grant(&self, headers: &HeaderMap) -> Option<Grant> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        match token {
            Some(token) => (self.tokens)(token.to_owned()).await,
            None => None,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("table", &*self.read()).finish_non_exhaustive()
    }
}

impl Table {
    /// Takes the lease under the table's lock, so that removing a version sees all its leases.
    fn find(&self, target: &RouteTarget, scope: VersionScope) -> Result<FoundVersion, Status> {
        if target.version.is_some() && scope == VersionScope::Nothing {
            return Err(with_hint(
                Code::Unauthenticated,
                format!("`{VERSION}` needs a valid token"),
                "send the metadata `authorization: Bearer TOKEN`",
            ));
        }
        let runtime = self.runtime(target)?;
        let version = match (&target.version, self.published.get(runtime)) {
            (Some(version), published) if scope == VersionScope::Everything || published == Some(version) => {
                version
            }
            (Some(version), _) => {
                return Err(with_hint(
                    Code::PermissionDenied,
                    format!("the version `{version}` is not published"),
                    "calling it needs a token with the role manager",
                ));
            }
            (None, Some(version)) => version,
            (None, None) => {
                return Err(Status::unavailable(format!(
                    "no version of the runtime `{runtime}` is published"
                )));
            }
        };
        let unavailable =
            |how| Status::unavailable(format!("the version `{version}` of the runtime `{runtime}` {how}"));
        match self.started.get(runtime).and_then(|versions| versions.get(version)) {
            Some(Some(entry)) => Ok(FoundVersion::Running(Lease::new(entry))),
            Some(None) => Ok(FoundVersion::Starting(unavailable("is starting"))),
            None => Err(unavailable("does not run")),
        }
    }

    /// Returns the runtime that is named, or else that of the host name, or else the only one: the only one
    /// published, or, if the request names a version, the only one running.
    fn runtime<'a>(&'a self, target: &'a RouteTarget) -> Result<&'a str, Status> {
        if let Some(runtime) = &target.runtime {
            let known = self.published.contains_key(runtime) || self.started.contains_key(runtime);
            return match known {
                true => Ok(runtime),
                false => Err(Status::unavailable(format!("the runtime `{runtime}` is not running here"))),
            };
        }
        if let Some(runtime) = target.host.as_ref().and_then(|host| self.hosts.get(host)) {
            return Ok(runtime);
        }
        let (mut published, mut started) = (self.published.keys(), self.started.keys());
        let there: &mut dyn Iterator<Item = &String> =
            if target.version.is_some() { &mut started } else { &mut published };
        match (there.next(), there.next()) {
            (Some(only), None) => Ok(only),
            (None, _) if target.version.is_some() => Err(Status::unavailable("nothing runs here")),
            (None, _) => Err(Status::unavailable("nothing is published here")),
            (Some(_), Some(_)) => Err(with_hint(
                Code::InvalidArgument,
                "more than one runtime is here",
                &format!("name one by the metadata `{RUNTIME}`, or by its host name"),
            )),
        }
    }

    fn remove(&mut self, runtime: &str, version: &str) -> Option<Arc<VersionEntry>> {
        if self.published.get(runtime).is_some_and(|published| published == version) {
            self.published.remove(runtime);
        }
        let versions = self.started.get_mut(runtime)?;
        let entry = versions.remove(version);
        if versions.is_empty() {
            self.started.remove(runtime);
        }
        entry?
    }
}

impl RouteTarget {
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

/// Returns the host of an authority.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Returns the token of an `authorization` header.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl VersionEntry {
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
    fn new(entry: &Arc<VersionEntry>) -> Self {
        entry.held.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(entry))
    }

    /// The version's ingress.
    pub fn ingress(&self) -> &Arc<Ingress> {
        &self.0.ingress
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
