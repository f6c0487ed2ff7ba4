//! A version's configuration values: its own, and those inherited from earlier versions.

use crate::{
    audit::{Actor, Object, record},
    error::Error,
    registry::Registry,
    value::{ConfigEntry, Value, entries, set},
    version,
};
use krt_model::{
    name::Name,
    team::{AuditAction, Role},
};
use std::collections::BTreeMap;

impl Registry {
    /// A version's configuration, in the order of its `krt.yml`. Only managers see values.
    pub fn config(&self, role: Role, runtime: &Name, version: &Name) -> Result<Vec<ConfigEntry>, Error> {
        self.read(|connection| {
            let version = version::load(connection, runtime, version)?;
            let mut entries = entries(connection, version.id, &version.runtime)?;
            if role < Role::Manager {
                entries.iter_mut().for_each(|entry| entry.value = None);
            }
            Ok(entries)
        })
    }

    /// All values of a version.
    pub fn values(&self, runtime: &Name, version: &Name) -> Result<BTreeMap<String, Value>, Error> {
        self.read(|connection| {
            let version = version::load(connection, runtime, version)?;
            let entries = entries(connection, version.id, &version.runtime)?.into_iter();
            Ok(entries.filter_map(|entry| Some((entry.name, entry.value??))).collect())
        })
    }

    /// Sets a version's own values; `None` deletes one.
    pub fn change_config(
        &self,
        actor: &Actor,
        runtime: &Name,
        version: &Name,
        values: &BTreeMap<String, Option<String>>,
    ) -> Result<Vec<ConfigEntry>, Error> {
        self.write(|connection| {
            let version_name = version;
            let version = version::load(connection, runtime, version)?;
            let known = entries(connection, version.id, &version.runtime)?;
            let is_known = |name: &String| known.iter().any(|entry| entry.name == *name);
            let unknown: Vec<_> = values.keys().filter(|name| !is_known(name)).cloned().collect();
            if !unknown.is_empty() {
                return Err(Error::Unknown { unknown });
            }
            values.values().flatten().try_for_each(|value| check(value))?;
            for (name, value) in values {
                set(connection, version.id, name, value.as_deref())?;
            }
            let names = values.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let object = Object { subject: Some(&names), ..Object::version(runtime, version_name) };
            record(connection, actor, AuditAction::ConfigChanged, object)?;
            entries(connection, version.id, &version.runtime)
        })
    }
}

/// The longest value, in bytes: no system passes much more to a process.
const MAX_VALUE: usize = 128_000;

fn check(value: &str) -> Result<(), Error> {
    match value.len() <= MAX_VALUE && !value.contains('\0') {
        true => Ok(()),
        false => Err(Error::Text { what: "value", rule: "at most 128,000 bytes of text without a NUL" }),
    }
}
