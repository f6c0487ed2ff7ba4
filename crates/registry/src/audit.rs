//! Who did what, and why.

use crate::{error::Error, moment::Moment, registry::Registry, text::texts};
use krt_model::name::Name;
use rusqlite::{Connection, Row, params};
use serde::Serialize;

/// Who does something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub login: String,
    /// Why, in the user's words; may be empty.
    pub comment: String,
}

impl Actor {
    /// The server itself.
    pub fn server() -> Self {
        Self { login: "krt".to_owned(), comment: String::new() }
    }

    /// A user who says nothing.
    pub fn user(login: &str) -> Self {
        Self { login: login.to_owned(), comment: String::new() }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Action {
    SignedIn,
    SignInFailed,
    SignedOut,
    PasswordChanged,
    UserCreated,
    UserChanged,
    UserDeleted,
    TokenCreated,
    TokenDeleted,
    SessionRevoked,
    RuntimeCreated,
    RuntimeChanged,
    RuntimeDeleted,
    VersionCreated,
    VersionDeleted,
    VersionStarted,
    VersionStopped,
    VersionPublished,
    VersionUnpublished,
    VersionFailed,
    ConfigChanged,
    BoardSaved,
    BoardDeleted,
}

texts!(Action {
    SignedIn = "signed_in",
    SignInFailed = "sign_in_failed",
    SignedOut = "signed_out",
    PasswordChanged = "password_changed",
    UserCreated = "user_created",
    UserChanged = "user_changed",
    UserDeleted = "user_deleted",
    TokenCreated = "token_created",
    TokenDeleted = "token_deleted",
    SessionRevoked = "session_revoked",
    RuntimeCreated = "runtime_created",
    RuntimeChanged = "runtime_changed",
    RuntimeDeleted = "runtime_deleted",
    VersionCreated = "version_created",
    VersionDeleted = "version_deleted",
    VersionStarted = "version_started",
    VersionStopped = "version_stopped",
    VersionPublished = "version_published",
    VersionUnpublished = "version_unpublished",
    VersionFailed = "version_failed",
    ConfigChanged = "config_changed",
    BoardSaved = "board_saved",
    BoardDeleted = "board_deleted",
});

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Its number: what came later has a greater one.
    pub id: i64,
    /// When.
    pub time: Moment,
    /// Who.
    pub login: String,
    /// What.
    pub action: Action,
    /// To which runtime.
    pub runtime: Option<String>,
    /// To which version of it.
    pub version: Option<String>,
    /// To which user, token or board.
    pub subject: Option<String>,
    /// Why.
    pub comment: String,
}

/// Which entries are wanted: all that fit everything that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Who.
    pub login: Option<String>,
    /// What.
    pub action: Option<Action>,
    /// The runtime.
    pub runtime: Option<Name>,
    /// The version.
    pub version: Option<Name>,
    /// From this time on.
    pub from: Option<Moment>,
    /// Before this time.
    pub to: Option<Moment>,
    /// With a lesser number.
    pub before: Option<i64>,
}

/// What something was done to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Object<'a> {
    pub(crate) runtime: Option<&'a Name>,
    pub(crate) version: Option<&'a Name>,
    pub(crate) subject: Option<&'a str>,
}

impl<'a> Object<'a> {
    pub(crate) fn runtime(runtime: &'a Name) -> Self {
        Self { runtime: Some(runtime), ..Self::default() }
    }

    pub(crate) fn version(runtime: &'a Name, version: &'a Name) -> Self {
        Self { runtime: Some(runtime), version: Some(version), subject: None }
    }

    pub(crate) fn subject(subject: &'a str) -> Self {
        Self { subject: Some(subject), ..Self::default() }
    }
}

/// Adds an entry, in the transaction of what is done.
pub(crate) fn note(
    connection: &Connection,
    actor: &Actor,
    action: Action,
    object: Object<'_>,
) -> Result<(), Error> {
    let sql = "INSERT INTO audit (time, login, action, runtime, version, subject, comment) \
               VALUES (?, ?, ?, ?, ?, ?, ?)";
    let (runtime, version) = (object.runtime.map(Name::as_str), object.version.map(Name::as_str));
    let values = params![Moment::now(), actor.login, action, runtime, version, object.subject, actor.comment];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

impl Registry {
    /// The newest entries that fit, the newest first.
    pub fn audit(&self, filter: &AuditFilter, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        let sql = "SELECT id, time, login, action, runtime, version, subject, comment FROM audit \
                   WHERE id < ?1 AND time >= ?2 AND time < ?3 \
                   AND (?4 IS NULL OR login = ?4) AND (?5 IS NULL OR action = ?5) \
                   AND (?6 IS NULL OR runtime = ?6) AND (?7 IS NULL OR version = ?7) \
                   ORDER BY id DESC LIMIT ?8";
        let values = params![
            filter.before.unwrap_or(i64::MAX),
            filter.from.map_or(i64::MIN, |from| from.0),
            filter.to.map_or(i64::MAX, |to| to.0),
            filter.login,
            filter.action,
            filter.runtime.as_ref().map(Name::as_str),
            filter.version.as_ref().map(Name::as_str),
            i64::try_from(limit).unwrap_or(i64::MAX),
        ];
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let entries = statement.query_map(values, entry)?;
            Ok(entries.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Adds an entry for what changes nothing else.
    pub fn note(&self, actor: &Actor, action: Action, subject: &str) -> Result<(), Error> {
        self.write(|connection| note(connection, actor, action, Object::subject(subject)))
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.get(0)?,
        time: row.get(1)?,
        login: row.get(2)?,
        action: row.get(3)?,
        runtime: row.get(4)?,
        version: row.get(5)?,
        subject: row.get(6)?,
        comment: row.get(7)?,
    })
}
