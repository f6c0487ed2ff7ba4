//! One package alone, as `krt run` has it: a runtime and a version, both named as the version.

use crate::{
    house::Error,
    team::{Site, describe},
};
use krt_model::name::Name;
use krt_registry::{Moment, Noun, Runtime, State, Version};
use krt_runtime::Engine;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// One package alone.
#[derive(Debug)]
pub struct Solo {
    engine: Arc<Engine>,
    site: Arc<Site>,
    since: Moment,
}

impl Solo {
    /// Shows what runs.
    pub fn new(engine: Arc<Engine>, site: Site) -> Self {
        Self { engine, site: Arc::new(site), since: Moment::now() }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site)
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
        let package = self.engine.package();
        let open = *self.engine.flow().admission().watch().borrow();
        let state = if open { State::Published } else { State::Starting };
        Version::unkept(describe(package, 0, Path::new("")), &package.version.name, state, self.since)
    }

    pub(crate) fn check_runtime(&self, runtime: &Name) -> Result<(), Error> {
        match self.engine.package().version.name == *runtime {
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
}
