//! A single package, as in `krt run`: a runtime and a version, both with the version's name.

use crate::{
    Error,
    team::{Files, describe},
};
use krt_model::{name::Name, team::State};
use krt_registry::{Noun, Runtime, Timestamp, Version};
use krt_remote::Stores;
use krt_runtime::Engine;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// A single package.
#[derive(Debug)]
pub struct Solo {
    engine: Arc<Engine>,
    stores: Arc<Stores>,
    since: Timestamp,
}

impl Solo {
    /// Wraps a running engine.
    pub fn new(engine: Arc<Engine>, stores: Arc<Stores>) -> Self {
        Self { engine, stores, since: Timestamp::now() }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn stores(&self) -> Arc<Stores> {
        Arc::clone(&self.stores)
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
            states: BTreeMap::from([(version.state, 1)]),
        }
    }

    pub(crate) fn version(&self) -> Version {
        let package = self.engine.package();
        let open = *self.engine.flow().admission().watch().borrow();
        let state = if open { State::Published } else { State::Starting };
        let files = Files { package_bytes: 0, folder: Path::new("") };
        let described = describe(&package.version, &package.warnings, &package.root, files);
        Version::unregistered(described, &package.version.name, state, self.since)
    }

    pub(crate) fn check_runtime(&self, runtime: &Name) -> Result<(), Error> {
        match self.engine.package().version.name == *runtime {
            true => Ok(()),
            false => Err(Error::missing(Noun::Runtime, runtime.as_str())),
        }
    }

    pub(crate) fn check(&self, runtime: &Name, version: &Name) -> Result<(), Error> {
        self.check_runtime(runtime)?;
        // The runtime has the name of its version.
        match runtime == version {
            true => Ok(()),
            false => Err(Error::missing(Noun::Version, version.as_str())),
        }
    }
}
