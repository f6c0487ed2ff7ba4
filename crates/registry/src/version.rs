//! Versions and their changes of state.

use crate::{
    audit::{Actor, Object, record},
    error::{Error, Noun, is_taken},
    folder,
    registry::Registry,
    runtime,
    state::{Event, VersionStatus},
    text,
    timestamp::Timestamp,
    value,
};
use krt_model::{
    name::Name,
    team::{AuditAction, DesiredState, State, VersionAction},
    version::Variable,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A version of a runtime.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub(crate) id: i64,
    /// Its name, as in its `krt.yml`.
    pub name: String,
    /// Its runtime.
    pub runtime: String,
    /// Its purpose.
    pub description: String,
    pub(crate) status: VersionStatus,
    /// Its state.
    pub state: State,
    /// Why it is in ERROR.
    pub reasons: Vec<String>,
    /// The actions that its state allows.
    pub actions: Vec<VersionAction>,
    /// When it was uploaded.
    pub created: Timestamp,
    /// The user who uploaded it.
    pub created_by: String,
    /// When its state last changed.
    pub changed: Timestamp,
    /// When it was last published.
    pub published_at: Option<Timestamp>,
    /// The user who published it.
    pub published_by: Option<String>,
    /// The size of its package as uploaded, in bytes.
    pub package_bytes: u64,
    /// Names of configuration without a value.
    pub missing_config: Vec<String>,
    /// Findings in its package that do not prevent it from running.
    pub warnings: serde_json::Value,
    /// Its number of nodes.
    pub nodes: u32,
    /// Its number of workflows.
    pub workflows: u32,
    /// Whether its package has documentation.
    pub has_docs: bool,
}

impl Version {
    /// Whether its runtime's clients should reach it, now or once it runs.
    pub fn is_to_be_published(&self) -> bool {
        self.status.wanted == DesiredState::Published
    }
}

/// A version to create, whose package is checked and unpacked in a folder.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// Its name, as in its `krt.yml`.
    pub name: Name,
    /// Its purpose.
    pub description: String,
    /// The configuration that it needs before it starts.
    pub config: Vec<Variable>,
    /// The size of its package, in bytes.
    pub package_bytes: u64,
    /// Findings in its package that do not prevent it from running.
    pub warnings: serde_json::Value,
    /// Its number of nodes.
    pub nodes: u32,
    /// Its number of workflows.
    pub workflows: u32,
    /// Whether its package has documentation.
    pub has_docs: bool,
    /// The folder with its files, named as in [`VersionFolder`](crate::VersionFolder), in
    /// [`Folder::incoming`](crate::Layout::incoming).
    pub files: PathBuf,
}

impl Version {
    /// A version outside of any registry, for display.
    pub fn unregistered(new: NewVersion, runtime: &Name, state: State, since: Timestamp) -> Self {
        Self {
            id: 0,
            name: new.name.to_string(),
            runtime: runtime.to_string(),
            description: new.description,
            status: VersionStatus::NEW,
            state,
            reasons: Vec::new(),
            actions: Vec::new(),
            created: since,
            created_by: Actor::server().login,
            changed: since,
            published_at: Some(since),
            published_by: None,
            package_bytes: new.package_bytes,
            missing_config: Vec::new(),
            warnings: new.warnings,
            nodes: new.nodes,
            workflows: new.workflows,
            has_docs: new.has_docs,
        }
    }
}

const COLUMNS: &str = "id, runtime, name, description, state, wanted, reasons, created, created_by, changed, \
                       published_at, published_by, package_bytes, warnings, nodes, workflows, has_docs";

impl Registry {
    /// All versions of a runtime, newest first.
    pub fn versions(&self, runtime: &Name) -> Result<Vec<Version>, Error> {
        self.read(|connection| {
            runtime::require(connection, runtime)?;
            select(connection, "runtime = ?1 ORDER BY id DESC", &[runtime.as_str()])
        })
    }

    /// One version.
    pub fn version(&self, runtime: &Name, version: &Name) -> Result<Version, Error> {
        self.read(|connection| load(connection, runtime, version))
    }

    /// Adds a version and moves its files into place.
    pub fn create_version(&self, actor: &Actor, runtime: &Name, new: &NewVersion) -> Result<Version, Error> {
        let place = self.folder().version(runtime, &new.name);
        self.write(|connection| {
            runtime::require(connection, runtime)?;
            insert(connection, actor, runtime, new)?;
            record(connection, actor, AuditAction::VersionCreated, Object::version(runtime, &new.name))?;
            take(&new.files, place.folder())?;
            load(connection, runtime, &new.name)
        })
    }

    /// Records an action, if the version's state allows it.
    ///
    /// Starts and stops nothing: the caller acts on the returned version.
    pub fn act(
        &self,
        actor: &Actor,
        runtime: &Name,
        version: &Name,
        action: VersionAction,
    ) -> Result<Version, Error> {
        let changed = self.write(|connection| {
            let found = load(connection, runtime, version)?;
            let next = found.status.apply(action)?;
            if action == VersionAction::Start && !found.missing_config.is_empty() {
                return Err(Error::Incomplete { missing: found.missing_config });
            }
            record(connection, actor, audit_action(action), Object::version(runtime, version))?;
            if action == VersionAction::Delete {
                value::move_values(connection, found.id, &found.runtime)?;
                connection.execute("DELETE FROM version WHERE id = ?", [found.id])?;
                return Ok(found);
            }
            if action == VersionAction::Publish {
                replace(connection, &found, ReplacedVersions::All)?;
                record_publication(connection, actor, &found)?;
            }
            change(connection, &found, next, &[])?;
            load(connection, runtime, version)
        })?;
        if action == VersionAction::Delete {
            folder::remove(self.folder().version(runtime, version).folder())?;
        }
        Ok(changed)
    }

    /// Records an event of a version. `reasons` say why it failed.
    pub fn record_event(
        &self,
        runtime: &Name,
        version: &Name,
        event: Event,
        reasons: &[String],
    ) -> Result<Version, Error> {
        self.write(|connection| {
            let found = load(connection, runtime, version)?;
            let next = found.status.on(event);
            if next == found.status {
                return Ok(found);
            }
            if next.state == State::Error {
                let why = Actor { comment: reasons.join("\n"), ..Actor::server() };
                record(connection, &why, AuditAction::VersionFailed, Object::version(runtime, version))?;
            }
            if next.state == State::Published {
                replace(connection, &found, ReplacedVersions::All)?;
            }
            change(connection, &found, next, reasons)?;
            load(connection, runtime, version)
        })
    }

    /// Publishes the version that was published before the current one. If it must start first, the current
    /// one stays until it is ready.
    pub fn roll_back(&self, actor: &Actor, runtime: &Name) -> Result<Version, Error> {
        self.write(|connection| {
            runtime::require(connection, runtime)?;
            let found = published_before(connection, runtime)?
                .ok_or_else(|| Error::NothingBefore { runtime: runtime.to_string() })?;
            let next = found.status.on(Event::RolledBack);
            if next == found.status {
                return Err(Error::NothingBefore { runtime: runtime.to_string() });
            }
            if next.state == State::Starting && !found.missing_config.is_empty() {
                return Err(Error::Incomplete { missing: found.missing_config });
            }
            let others = if next.state == State::Published {
                ReplacedVersions::All
            } else {
                ReplacedVersions::Starting
            };
            replace(connection, &found, others)?;
            record_publication(connection, actor, &found)?;
            let name = Name::parse(&found.name).expect("names of versions are checked when they come");
            record(connection, actor, AuditAction::VersionPublished, Object::version(runtime, &name))?;
            change(connection, &found, next, &[])?;
            load(connection, runtime, &name)
        })
    }

    /// Records that the server starts and nothing runs, and returns the versions to start.
    pub fn boot(&self) -> Result<Vec<Version>, Error> {
        self.write(|connection| {
            for version in select(connection, "wanted <> 'stopped' OR state = 'STOPPING'", &[])? {
                change(connection, &version, version.status.on(Event::Boot), &[])?;
            }
            settle(connection)?;
            select(connection, "state = 'STARTING' ORDER BY wanted = 'published' DESC, id", &[])
        })
    }
}

fn audit_action(action: VersionAction) -> AuditAction {
    match action {
        VersionAction::Start => AuditAction::VersionStarted,
        VersionAction::Stop => AuditAction::VersionStopped,
        VersionAction::Publish => AuditAction::VersionPublished,
        VersionAction::Unpublish => AuditAction::VersionUnpublished,
        VersionAction::Delete => AuditAction::VersionDeleted,
    }
}

fn insert(connection: &Connection, actor: &Actor, runtime: &Name, new: &NewVersion) -> Result<(), Error> {
    let sql = "INSERT INTO version (runtime, name, description, state, wanted, reasons, created, created_by, \
               changed, package_bytes, warnings, nodes, workflows, has_docs) \
               VALUES (?1, ?2, ?3, ?4, ?5, '[]', ?6, ?7, ?6, ?8, ?9, ?10, ?11, ?12)";
    let values = params![
        runtime.as_str(),
        new.name.as_str(),
        new.description,
        VersionStatus::NEW.state.as_str(),
        VersionStatus::NEW.wanted.as_str(),
        Timestamp::now(),
        actor.login,
        i64::try_from(new.package_bytes).unwrap_or(i64::MAX),
        new.warnings.to_string(),
        new.nodes,
        new.workflows,
        new.has_docs,
    ];
    connection.execute(sql, values).map_err(|error| {
        if is_taken(&error) { Error::taken(Noun::Version, new.name.as_str()) } else { error.into() }
    })?;
    let id = connection.last_insert_rowid();
    for (position, variable) in (0i64..).zip(&new.config) {
        let kind = value::kind_text(variable.kind);
        let sql = "INSERT INTO variable (version, position, name, kind) VALUES (?, ?, ?, ?)";
        connection.execute(sql, params![id, position, variable.name.as_str(), kind])?;
    }
    Ok(())
}

/// Moves a version's files into place.
fn take(from: &Path, to: &Path) -> Result<(), Error> {
    if let Some(parent) = to.parent() {
        folder::create(parent)?;
    }
    // A leftover of a deleted version with this name, whose files remained.
    folder::remove(to)?;
    fs::rename(from, to).map_err(|source| Error::File { path: to.to_owned(), source })
}

/// Which other versions a version replaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReplacedVersions {
    /// The published one, and those that are starting to become it.
    All,
    /// Those that are starting to become the published one.
    Starting,
}

/// Replaces other versions of a runtime by this one.
fn replace(connection: &Connection, version: &Version, others: ReplacedVersions) -> Result<(), Error> {
    for other in select(connection, "runtime = ?1 AND wanted = 'published'", &[&version.runtime])? {
        let meant = others == ReplacedVersions::All || other.state == State::Starting;
        if meant && other.id != version.id {
            change(connection, &other, other.status.on(Event::Replaced), &[])?;
        }
    }
    Ok(())
}

/// Completes a replacement during which the server ended.
fn settle(connection: &Connection) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for version in select(connection, "wanted = 'published' ORDER BY published_at DESC", &[])? {
        if !seen.insert(version.runtime.clone()) {
            change(connection, &version, version.status.on(Event::Replaced), &[])?;
        }
    }
    Ok(())
}

/// Records the user who publishes a version.
fn record_publication(connection: &Connection, actor: &Actor, version: &Version) -> Result<(), Error> {
    let sql = "INSERT INTO publication (runtime, version) VALUES (?, ?)";
    connection.execute(sql, params![version.runtime, version.id])?;
    let sql = "UPDATE version SET published_at = ?, published_by = ? WHERE id = ?";
    connection.execute(sql, params![Timestamp::now(), actor.login, version.id])?;
    Ok(())
}

/// The version that was published before the current one.
fn published_before(connection: &Connection, runtime: &Name) -> Result<Option<Version>, Error> {
    let sql = "SELECT version FROM publication WHERE runtime = ?1 AND version <> \
               (SELECT version FROM publication WHERE runtime = ?1 ORDER BY id DESC LIMIT 1) \
               ORDER BY id DESC LIMIT 1";
    let id: Option<i64> =
        connection.prepare_cached(sql)?.query_row([runtime.as_str()], |row| row.get(0)).optional()?;
    let Some(id) = id else { return Ok(None) };
    Ok(select(connection, "id = ?1", &[&id.to_string()])?.pop())
}

fn change(
    connection: &Connection,
    version: &Version,
    to: VersionStatus,
    reasons: &[String],
) -> Result<(), Error> {
    let reasons = serde_json::Value::from(reasons.to_vec()).to_string();
    let sql = "UPDATE version SET state = ?, wanted = ?, reasons = ?, changed = ? WHERE id = ?";
    let values = params![to.state.as_str(), to.wanted.as_str(), reasons, Timestamp::now(), version.id];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

pub(crate) fn load(connection: &Connection, runtime: &Name, version: &Name) -> Result<Version, Error> {
    runtime::require(connection, runtime)?;
    let mut found = select(connection, "runtime = ?1 AND name = ?2", &[runtime.as_str(), version.as_str()])?;
    found.pop().ok_or_else(|| Error::missing(Noun::Version, version.as_str()))
}

fn select(connection: &Connection, condition: &str, values: &[&str]) -> Result<Vec<Version>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM version WHERE {condition}");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(values), row)?;
    let mut versions: Vec<Version> = rows.collect::<rusqlite::Result<_>>()?;
    for version in &mut versions {
        version.missing_config = value::missing(connection, version.id, &version.runtime)?;
    }
    Ok(versions)
}

fn row(row: &Row<'_>) -> rusqlite::Result<Version> {
    let json = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
    let status = VersionStatus {
        state: text::get(row, 4, State::parse)?,
        wanted: text::get(row, 5, DesiredState::parse)?,
    };
    let reasons = json(row.get(6)?);
    let reasons = reasons.as_array().into_iter().flatten().filter_map(|reason| reason.as_str());
    Ok(Version {
        id: row.get(0)?,
        runtime: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        status,
        state: status.state,
        reasons: reasons.map(str::to_owned).collect(),
        actions: status.allowed_actions(),
        created: row.get(7)?,
        created_by: row.get(8)?,
        changed: row.get(9)?,
        published_at: row.get(10)?,
        published_by: row.get(11)?,
        package_bytes: row.get::<_, i64>(12)?.unsigned_abs(),
        missing_config: Vec::new(),
        warnings: json(row.get(13)?),
        nodes: row.get(14)?,
        workflows: row.get(15)?,
        has_docs: row.get(16)?,
    })
}
