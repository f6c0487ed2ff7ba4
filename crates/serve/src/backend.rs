//! A team or a single package, as the API sees it.

use crate::{Error, Solo, Team, blocking};
use krt_model::{name::Name, team::State};
use krt_package::Package;
use krt_registry::{Runtime, Version};
use krt_remote::Stores;
use krt_runtime::{Engine, ingress::Ingress, ingress::Lease, nats::ServerState};
use krt_store::Store;
use std::sync::Arc;

/// The API's backend.
#[derive(Debug, Clone)]
pub enum Backend {
    /// `krt serve`: runtimes and versions that change.
    Team(Arc<Team>),
    /// `krt run`: a single package.
    Solo(Arc<Solo>),
}

/// The ingress of a running version.
#[derive(Debug)]
pub enum VersionHandle {
    /// A lease, which keeps the version alive until the call ends.
    Leased(Lease),
    /// The ingress of the single package.
    Only(Arc<Ingress>),
}

impl VersionHandle {
    /// The ingress that takes the call.
    pub fn ingress(&self) -> &Arc<Ingress> {
        match self {
            Self::Leased(lease) => lease.ingress(),
            Self::Only(ingress) => ingress,
        }
    }
}

impl Backend {
    /// All runtimes.
    pub async fn runtimes(&self) -> Result<Vec<Runtime>, Error> {
        match self {
            Self::Team(team) => Ok(team.with_registry(krt_registry::Registry::runtimes).await?),
            Self::Solo(solo) => Ok(vec![solo.runtime()]),
        }
    }

    /// One runtime.
    pub async fn runtime(&self, runtime: &Name) -> Result<Runtime, Error> {
        match self {
            Self::Team(team) => {
                let id = runtime.clone();
                Ok(team.with_registry(move |registry| registry.runtime(&id)).await?)
            }
            Self::Solo(solo) => {
                solo.check_runtime(runtime)?;
                Ok(solo.runtime())
            }
        }
    }

    /// All versions of a runtime, newest first.
    pub async fn versions(&self, runtime: &Name) -> Result<Vec<Version>, Error> {
        match self {
            Self::Team(team) => {
                let id = runtime.clone();
                Ok(team.with_registry(move |registry| registry.versions(&id)).await?)
            }
            Self::Solo(solo) => {
                solo.check_runtime(runtime)?;
                Ok(vec![solo.version()])
            }
        }
    }

    /// One version.
    pub async fn version(&self, runtime: &Name, version: &Name) -> Result<Version, Error> {
        match self {
            Self::Team(team) => {
                let (id, name) = (runtime.clone(), version.clone());
                Ok(team.with_registry(move |registry| registry.version(&id, &name)).await?)
            }
            Self::Solo(solo) => {
                solo.check(runtime, version)?;
                Ok(solo.version())
            }
        }
    }

    /// A runtime's stores.
    pub async fn stores(&self, runtime: &Name) -> Result<Arc<Stores>, Error> {
        match self {
            Self::Team(team) => team.stores(runtime).await,
            Self::Solo(solo) => {
                solo.check_runtime(runtime)?;
                Ok(solo.stores())
            }
        }
    }

    /// The state of the NATS server that carries the messages of a runtime, if one does.
    pub fn nats(&self, runtime: &Name) -> Option<ServerState> {
        match self {
            Self::Team(team) => team.nats(),
            Self::Solo(solo) => solo.check_runtime(runtime).ok().and_then(|()| solo.engine().nats()),
        }
    }

    /// Reads a runtime's store on a blocking thread.
    pub async fn read<T: Send + 'static>(
        &self,
        runtime: &Name,
        read: impl FnOnce(&Store) -> Result<T, krt_store::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let stores = self.stores(runtime).await?;
        Ok(blocking::run(move || read(&stores.store)).await?)
    }

    /// A version's package.
    pub async fn package(&self, runtime: &Name, version: &Name) -> Result<Arc<Package>, Error> {
        match self {
            Self::Team(team) => team.package(runtime, version).await,
            Self::Solo(solo) => {
                solo.check(runtime, version)?;
                Ok(Arc::clone(solo.engine().package()))
            }
        }
    }

    /// The engine of a version that starts or runs.
    pub fn engine(&self, runtime: &Name, version: &Name) -> Option<Arc<Engine>> {
        match self {
            Self::Team(team) => team.engine(runtime, version),
            Self::Solo(solo) => solo.check(runtime, version).is_ok().then(|| Arc::clone(solo.engine())),
        }
    }

    /// The engines of all versions of a runtime that start or run.
    pub fn engines(&self, runtime: &Name) -> Vec<Arc<Engine>> {
        match self {
            Self::Team(team) => team.engines(runtime),
            Self::Solo(solo) if solo.check_runtime(runtime).is_ok() => vec![Arc::clone(solo.engine())],
            Self::Solo(_) => Vec::new(),
        }
    }

    /// A handle to a running version.
    pub async fn handle(&self, runtime: &Name, version: &Name) -> Result<Option<VersionHandle>, Error> {
        let state = self.version(runtime, version).await?.state;
        if !matches!(state, State::Started | State::Published) {
            return Ok(None);
        }
        Ok(match self {
            Self::Team(team) => team.lease(runtime, version).map(VersionHandle::Leased),
            Self::Solo(solo) => Some(VersionHandle::Only(Arc::clone(solo.engine().ingress()))),
        })
    }
}
