//! A team or one package alone, as the API sees them.

use crate::{Solo, Team, blocking, team::Site};
use krt_model::name::Name;
use krt_package::Package;
use krt_registry::{Fault, Noun, Runtime, State, Version};
use krt_runtime::{Engine, entry::Door, entry::Lease};
use krt_store::Store;
use std::sync::Arc;

/// What the API shows.
#[derive(Debug, Clone)]
pub enum House {
    /// `krt serve`: runtimes and versions that come and go.
    Team(Arc<Team>),
    /// `krt run`: one package.
    Solo(Arc<Solo>),
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry says so.
    #[error(transparent)]
    Registry(#[from] krt_registry::Error),
    /// The store does.
    #[error(transparent)]
    Store(#[from] krt_store::Error),
    /// The store elsewhere does.
    #[error(transparent)]
    Remote(#[from] krt_remote::Error),
    /// The package cannot be read.
    #[error(transparent)]
    Package(#[from] krt_package::Error),
}

impl Error {
    /// There is no such thing.
    pub(crate) fn missing(noun: Noun, name: &str) -> Self {
        krt_registry::Error::Missing { noun, name: name.to_owned() }.into()
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Registry(error) => error.fault(),
            Self::Store(error) => of_store(error),
            Self::Remote(_) | Self::Package(_) => Fault::Operator,
        }
    }
}

fn of_store(error: &krt_store::Error) -> Fault {
    match error.fault() {
        krt_store::Fault::Caller => Fault::Invalid,
        krt_store::Fault::Operator => Fault::Operator,
    }
}

/// A version that runs, for one who calls it.
#[derive(Debug)]
pub enum Way {
    /// Counted, so that the version does not end before the call.
    Leased(Lease),
    /// The only one.
    Only(Arc<Door>),
}

impl Way {
    /// Where the call goes.
    pub fn door(&self) -> &Arc<Door> {
        match self {
            Self::Leased(lease) => lease.door(),
            Self::Only(door) => door,
        }
    }
}

impl House {
    /// All runtimes.
    pub async fn runtimes(&self) -> Result<Vec<Runtime>, Error> {
        match self {
            Self::Team(team) => Ok(team.ask(krt_registry::Registry::runtimes).await?),
            Self::Solo(solo) => Ok(vec![solo.runtime()]),
        }
    }

    /// One runtime.
    pub async fn runtime(&self, runtime: &Name) -> Result<Runtime, Error> {
        match self {
            Self::Team(team) => {
                let id = runtime.clone();
                Ok(team.ask(move |registry| registry.runtime(&id)).await?)
            }
            Self::Solo(solo) => {
                solo.check_runtime(runtime)?;
                Ok(solo.runtime())
            }
        }
    }

    /// All versions of a runtime, the newest first.
    pub async fn versions(&self, runtime: &Name) -> Result<Vec<Version>, Error> {
        match self {
            Self::Team(team) => {
                let id = runtime.clone();
                Ok(team.ask(move |registry| registry.versions(&id)).await?)
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
                Ok(team.ask(move |registry| registry.version(&id, &name)).await?)
            }
            Self::Solo(solo) => {
                solo.check(runtime, version)?;
                Ok(solo.version())
            }
        }
    }

    /// A runtime's stores.
    pub async fn site(&self, runtime: &Name) -> Result<Arc<Site>, Error> {
        match self {
            Self::Team(team) => team.site(runtime).await,
            Self::Solo(solo) => {
                solo.check_runtime(runtime)?;
                Ok(solo.site())
            }
        }
    }

    /// Reads a runtime's store on a thread where that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        runtime: &Name,
        read: impl FnOnce(&Store) -> Result<T, krt_store::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let site = self.site(runtime).await?;
        Ok(blocking::run(move || read(&site.store)).await?)
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

    /// The parts of a version that starts or runs.
    pub fn engine(&self, runtime: &Name, version: &Name) -> Option<Arc<Engine>> {
        match self {
            Self::Team(team) => team.engine(runtime, version),
            Self::Solo(solo) => solo.check(runtime, version).is_ok().then(|| Arc::clone(solo.engine())),
        }
    }

    /// The parts of all versions of a runtime that start or run.
    pub fn engines(&self, runtime: &Name) -> Vec<Arc<Engine>> {
        match self {
            Self::Team(team) => team.engines(runtime),
            Self::Solo(solo) if solo.check_runtime(runtime).is_ok() => vec![Arc::clone(solo.engine())],
            Self::Solo(_) => Vec::new(),
        }
    }

    /// The way into a version that runs.
    pub async fn way(&self, runtime: &Name, version: &Name) -> Result<Option<Way>, Error> {
        let state = self.version(runtime, version).await?.state;
        if !matches!(state, State::Started | State::Published) {
            return Ok(None);
        }
        Ok(match self {
            Self::Team(team) => team.lease(runtime, version).map(Way::Leased),
            Self::Solo(solo) => Some(Way::Only(Arc::clone(solo.engine().door()))),
        })
    }
}
