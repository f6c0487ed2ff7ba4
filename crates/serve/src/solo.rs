//! One package alone, as `krt run` has it: a runtime and a version, both named as the version.

use crate::{
    house::Error,
    team::{Site, describe},
};
use krt_model::name::Name;
use krt_registry::{Moment, Noun, Runtime, State, Version};
use krt_runtime::Engine;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

/// One package alone.
#[derive(Debug)]
pub struct Solo {
    /// What runs; another when the package changed.
    present: RwLock<Present>,
    since: Moment,
}

#[derive(Debug, Clone)]
struct Present {
    engine: Arc<Engine>,
    site: Arc<Site>,
}

impl Solo {
    /// Shows what runs.
    pub fn new(engine: Arc<Engine>, site: Site) -> Self {
        Self { present: RwLock::new(Present { engine, site: Arc::new(site) }), since: Moment::now() }
    }

    /// Shows another engine from now on.
    pub fn show(&self, engine: Arc<Engine>, site: Site) {
        let present = Present { engine, site: Arc::new(site) };
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = present;
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.present().engine
    }

    pub(crate) fn site(&self) -> Arc<Site> {
        self.present().site
    }

    pub(crate) fn runtime(&self) -> Runtime {
        let version = self.version();
        Runtime {
            id: version.runtime.clone(),
            name: version.runtime,
            description: version.description,
            created: self.since,
            published: Some(version.name),
            hosts: Vec::new(),
            versions: 1,
            states: BTreeMap::from([(version.state.as_str(), 1)]),
        }
    }

    pub(crate) fn version(&self) -> Version {
        let engine = self.engine();
        let package = engine.package();
        let open = *engine.flow().admission().watch().borrow();
        let state = if open { State::Published } else { State::Starting };
        Version::unkept(describe(package, 0, Path::new("")), &package.version.name, state, self.since)
    }

    pub(crate) fn check_runtime(&self, runtime: &Name) -> Result<(), Error> {
        match self.engine().package().version.name == *runtime {
            true => Ok(()),
            false => Err(Error::missing(Noun::Runtime, runtime.as_str())),
        }
    }

    pub(crate) fn check(&self, runtime: &Name, version: &Name) -> Result<(), Error> {
        self.check_runtime(runtime)?;
        // The runtime is named as its version.
        match runtime == version {
            true => Ok(()),
            false => Err(Error::missing(Noun::Version, version.as_str())),
        }
    }

    fn present(&self) -> Present {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
