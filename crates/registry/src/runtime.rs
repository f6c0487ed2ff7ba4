//! Runtimes: each holds versions, of which at most one is published.

use crate::{
    audit::{Actor, Object, record},
    error::{Error, Noun, is_taken},
    folder,
    registry::Registry,
    text,
    timestamp::Timestamp,
};
use krt_model::{
    name::Name,
    team::{AuditAction, State},
};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;

/// A runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its purpose.
    pub description: String,
    /// When it was created.
    pub created: Timestamp,
    /// The version that its clients reach.
    pub published: Option<String>,
    /// Host names that also lead clients here, beside its id.
    pub hosts: Vec<String>,
    /// How many versions it has.
    pub versions: u32,
    /// Number of versions by state.
    pub states: BTreeMap<State, u32>,
}

/// A runtime to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRuntime {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its purpose.
    pub description: String,
    /// Host names that lead clients here.
    pub hosts: Vec<String>,
}

/// Changes of a runtime; unset fields stay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuntimeChange {
    /// The display name.
    pub name: Option<String>,
    /// The purpose.
    pub description: Option<String>,
    /// Host names that lead clients here.
    pub hosts: Option<Vec<String>>,
}

/// The most host names of a runtime.
const MAX_HOSTS: usize = 20;

impl Registry {
    /// All runtimes, by id.
    pub fn runtimes(&self) -> Result<Vec<Runtime>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM runtime ORDER BY id")?;
            let ids: Vec<String> =
                statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            ids.iter().map(|id| load(connection, id)).collect()
        })
    }

    /// One runtime.
    pub fn runtime(&self, runtime: &Name) -> Result<Runtime, Error> {
        self.read(|connection| load(connection, runtime.as_str()))
    }

    /// Creates a runtime.
    pub fn create_runtime(&self, actor: &Actor, new: &NewRuntime) -> Result<Runtime, Error> {
        let id = Name::parse(&new.id).map_err(|_| Error::Text {
            what: "runtime's id",
            rule: "lowercase letters, digits and `-`, at most 19, with a letter or digit at both ends",
        })?;
        check_name(&new.name)?;
        check_description(&new.description)?;
        self.write(|connection| {
            let sql = "INSERT INTO runtime (id, name, description, created) VALUES (?, ?, ?, ?)";
            let values = params![id.as_str(), new.name, new.description, Timestamp::now()];
            connection.execute(sql, values).map_err(|error| {
                if is_taken(&error) { Error::taken(Noun::Runtime, id.as_str()) } else { error.into() }
            })?;
            set_hosts(connection, &id, &new.hosts)?;
            record(connection, actor, AuditAction::RuntimeCreated, Object::runtime(&id))?;
            load(connection, id.as_str())
        })
    }

    /// Changes a runtime.
    pub fn change_runtime(
        &self,
        actor: &Actor,
        runtime: &Name,
        change: &RuntimeChange,
    ) -> Result<Runtime, Error> {
        change.name.as_deref().map_or(Ok(()), check_name)?;
        change.description.as_deref().map_or(Ok(()), check_description)?;
        self.write(|connection| {
            load(connection, runtime.as_str())?;
            let sql = "UPDATE runtime SET name = coalesce(?2, name), description = coalesce(?3, description) \
                       WHERE id = ?1";
            connection.execute(sql, params![runtime.as_str(), change.name, change.description])?;
            if let Some(hosts) = &change.hosts {
                set_hosts(connection, runtime, hosts)?;
            }
            record(connection, actor, AuditAction::RuntimeChanged, Object::runtime(runtime))?;
            load(connection, runtime.as_str())
        })
    }

    /// Deletes a runtime with its versions and data; none of them may run.
    pub fn delete_runtime(&self, actor: &Actor, runtime: &Name) -> Result<(), Error> {
        self.write(|connection| {
            load(connection, runtime.as_str())?;
            let sql = "SELECT name FROM version WHERE runtime = ? AND (wanted <> 'stopped' OR state = ?)";
            let runs = connection
                .query_row(sql, [runtime.as_str(), State::Stopping.as_str()], |row| row.get(0))
                .optional()?;
            if let Some(version) = runs {
                return Err(Error::Runs { version });
            }
            connection.execute("DELETE FROM runtime WHERE id = ?", [runtime.as_str()])?;
            record(connection, actor, AuditAction::RuntimeDeleted, Object::runtime(runtime))
        })?;
        folder::remove(&self.folder().runtime(runtime))
    }
}

fn load(connection: &Connection, id: &str) -> Result<Runtime, Error> {
    let runtime = connection
        .prepare_cached("SELECT name, description, created FROM runtime WHERE id = ?")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (name, description, created) = runtime.ok_or_else(|| Error::missing(Noun::Runtime, id))?;
    let mut hosts = connection.prepare_cached("SELECT name FROM host WHERE runtime = ? ORDER BY name")?;
    let hosts = hosts.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut states =
        connection.prepare_cached("SELECT state, count(*) FROM version WHERE runtime = ? GROUP BY state")?;
    let states = states.query_map([id], |row| Ok((text::get(row, 0, State::parse)?, row.get(1)?)))?;
    let states: BTreeMap<State, u32> = states.collect::<rusqlite::Result<_>>()?;
    let published = connection
        .prepare_cached("SELECT name FROM version WHERE runtime = ? AND state = ?")?
        .query_row([id, State::Published.as_str()], |row| row.get(0))
        .optional()?;
    let versions = states.values().sum();
    Ok(Runtime { id: id.to_owned(), name, description, created, published, hosts, versions, states })
}

/// Fails when the runtime does not exist.
pub(crate) fn require(connection: &Connection, runtime: &Name) -> Result<(), Error> {
    let found =
        connection.prepare_cached("SELECT 1 FROM runtime WHERE id = ?")?.exists([runtime.as_str()])?;
    if found { Ok(()) } else { Err(Error::missing(Noun::Runtime, runtime.as_str())) }
}

fn set_hosts(connection: &Connection, runtime: &Name, hosts: &[String]) -> Result<(), Error> {
    if hosts.len() > MAX_HOSTS {
        return Err(Error::Text { what: "list of host names", rule: "one of at most 20" });
    }
    connection.execute("DELETE FROM host WHERE runtime = ?", [runtime.as_str()])?;
    for host in hosts {
        let host = host.to_ascii_lowercase();
        check_host(&host)?;
        connection
            .execute("INSERT INTO host (name, runtime) VALUES (?, ?)", [&*host, runtime.as_str()])
            .map_err(
                |error| if is_taken(&error) { Error::taken(Noun::Host, &*host) } else { error.into() },
            )?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Error> {
    let good = !name.trim().is_empty() && name.chars().count() <= 80 && !name.chars().any(char::is_control);
    if good { Ok(()) } else { Err(Error::Text { what: "name", rule: "1 to 80 characters of text" }) }
}

fn check_description(description: &str) -> Result<(), Error> {
    match description.chars().count() {
        0..=500 => Ok(()),
        _ => Err(Error::Text { what: "description", rule: "at most 500 characters of text" }),
    }
}

fn check_host(host: &str) -> Result<(), Error> {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let good = host.len() <= 253 && host.split('.').all(part);
    if good { Ok(()) } else { Err(Error::Text { what: "host name", rule: "a host name without a port" }) }
}
